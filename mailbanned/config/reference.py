"""Writes the page of all options: `python -m mailbanned.config.reference > docs/configuration.md`.

Each row comes from one field: its name, type, limits, default and text.
"""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mailbanned.config.options import File
from mailbanned.configtypes import BanTime, Between, Duration, Parsed

_INTRO = """\
# Configuration

<!-- Written by `python -m mailbanned.config.reference > docs/configuration.md`; edit the code. -->

The main file is `/etc/mailbanned/mailbanned.toml`; `-c PATH` before the command, or
`$MAILBANNED_CONFIG`, names another. Then mailbanned reads every `conf.d/*.toml` beside it, in the
order of their names. A later value replaces an earlier one; the rest of its table stays. A list is
one value: it is replaced as a whole. `path` and `journal` of a source replace each other.

```toml
# conf.d/50-here.toml: what differs on this host
[defaults]
ignore = ["127.0.0.0/8", "::1", "192.0.2.0/24"]

[jails.sshd]
enabled = false
```

A filter is a file `filters/NAME.toml` beside the main file, or else the filter of that name that
comes with mailbanned ([how to write one](adding.md#a-filter)). You choose the names of sources and
jails: letters, digits, `-`, `_` and `.`. Only `manual` is reserved, for bans by hand.

**Durations.** A bare number is seconds. In quotes, numbers with `ms s m h d w` add up: `"90s"`,
`"15m"`, `"24h"`, `"7d"`, `"1d12h"`. `m` is minutes; there are no months. The longest is a century.

**Errors.** `mailbanned check` reads everything as the daemon does and runs the samples of every
filter that a jail names. It reports all errors at once, unknown keys too, and exits with 78:

```
/etc/mailbanned/mailbanned.toml: defaults.maxretry: Input should be greater than or equal to 1 \
(it is 0); correct the value
/etc/mailbanned/conf.d/50-here.toml: jails.sshd.bantine: is not a known key; did you mean 'bantime'?
```

With an error the daemon does not start; at a reload it keeps the configuration that it has.
A reload applies every change except those in `[store]`, `[control]` and `[log]`. If one of these
has changed, it refuses the whole reload, and needs a restart.
"""

_FORMS: dict[Any, str] = {
    float: "number",
    bool: "`true` or `false`",
    int: "whole number",
    str: "text",
}


def page() -> str:
    """The whole page, in Markdown."""
    hints = get_type_hints(File)
    tables = [hints[field.name] for field in fields(File)]
    # dict[Name, Table]: the table is the last argument.
    return "\n".join([_INTRO, *(_section((get_args(hint) or (hint,))[-1]) for hint in tables)])


def _section(table: Any) -> str:
    """The heading and the rows of a table, whose docstring is "[name]: what it is for."."""
    name, _, purpose = (table.__doc__ or "").partition(": ")
    rows = [f"## `{name}`\n\n{purpose[0].upper()}{purpose[1:]}\n"]
    inherited = {
        option.name for base in table.__bases__ if is_dataclass(base) for option in fields(base)
    }
    rows.append("| option | form | default | meaning |\n|---|---|---|---|")
    hints = get_type_hints(table, include_extras=True)
    for option in fields(table):
        if option.name in inherited:
            continue
        form, default = _form(hints[option.name]), _default(option, hints[option.name])
        rows.append(f"| `{option.name}` | {form} | {default} | {option.metadata['text']} |")
    return "\n".join([*rows, ""])


def _form(hint: Any) -> str:
    """How a value of that type is written."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in get_args(hint))
    if hint in _FORMS:
        return _FORMS[hint]
    # The first argument of `X | None` and of an annotated X is X.
    inner, mark = get_args(hint)
    if isinstance(mark, Parsed):
        return mark.form
    if isinstance(mark, Between):
        return f"{_form(inner)}, {mark.least} to {mark.most}"
    return _form(inner)


def _default(option: Field[Any], hint: Any) -> str:
    value = option.default
    if value is None:
        return ""
    if value is MISSING:
        return "must be given"
    if hint in (Duration, BanTime):
        units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"), (0.001, "ms"))
        value = next(f"{value / n:.0f}{unit}" for n, unit in units if (value / n).is_integer())
    elif not isinstance(value, bool | int):
        value = list(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(page())
