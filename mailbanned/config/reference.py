"""Writes the page of all options: `python -m mailbanned.config.reference > docs/configuration.md`.

Option, form, default and meaning come from a field's type, limits, default and description.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from pydantic.fields import FieldInfo

from mailbanned.config.errors import Strict
from mailbanned.config.options import BanTime, Duration, File, Networks

_INTRO = """\
# Configuration

<!-- Written by `python -m mailbanned.config.reference > docs/configuration.md`; edit the code. -->

The main file is `/etc/mailbanned/mailbanned.toml`; `-c PATH` before the command, or
`$MAILBANNED_CONFIG`, names another. After it all `conf.d/*.toml` beside it are read, in the order
of their names. A later value replaces an earlier one, and the rest of its table stays. A list is
one value: it is replaced as a whole. `path` and `journal` of a source replace each other.

```toml
# conf.d/50-here.toml: what this host does otherwise
[defaults]
ignore = ["127.0.0.0/8", "::1", "192.0.2.0/24"]

[jails.sshd]
enabled = false
```

A filter is a file `filters/NAME.toml` beside the main file; without one, the filter of that name
that comes with mailbanned is used ([how to write one](adding.md#a-filter)). Sources and jails have
names of your choice: letters, digits, `-`, `_` and `.`. Only `manual` is taken, for bans by hand.

**Durations.** A bare number is seconds. In quotes, numbers with `ms s m h d w` add up: `"90s"`,
`"15m"`, `"24h"`, `"7d"`, `"1d12h"`. `m` is minutes; there are no months. The longest is a century.

**Errors.** `mailbanned check` reads everything as the daemon does and runs the samples of every
filter that a jail names. It reports all errors at once, an unknown key among them, and exits
with 78:

```
/etc/mailbanned/mailbanned.toml: defaults.maxretry: Input should be greater than or equal to 1 \
(it is 0); correct the value
/etc/mailbanned/conf.d/50-here.toml: jails.sshd.bantine: is not a known key; did you mean 'bantime'?
```

With an error the daemon does not start, and at a reload it goes on with the configuration it has.
A reload takes every change but those in `[store]`, `[control]` and `[log]`: with one of these the
whole reload is refused, and a restart is needed.
"""

_FORMS: dict[Any, str] = {
    BanTime: 'duration or `"permanent"`',
    Duration: "duration",
    Networks: "list of addresses and networks",
    list[str]: "list of texts",
    Path: "path",
    ZoneInfo: "name of a time zone",
    float: "number",
    bool: "`true` or `false`",
    int: "whole number",
    str: "text",
}


def page() -> str:
    """The whole page, in Markdown."""
    fields = File.model_fields.values()
    models = [(get_args(field.annotation) or (field.annotation,))[-1] for field in fields]
    return "\n".join([_INTRO, *map(_section, models)])


def _section(model: type[Strict]) -> str:
    """One table of the configuration; its class's docstring is "[name]: what it is for."."""
    name, _, purpose = (model.__doc__ or "").partition(": ")
    rows = [f"## `{name}`\n\n{purpose[0].upper()}{purpose[1:]}\n"]
    rows.append("| option | form | default | meaning |\n|---|---|---|---|")
    hints = get_type_hints(model, include_extras=True)
    for key, field in model.model_fields.items():
        form, default = _form(hints[key]) + _limits(field), _default(field)
        rows.append(f"| `{key}` | {form} | {default} | {field.description} |")
    return "\n".join([*rows, ""])


def _form(hint: Any) -> str:
    """How a value is written; a type that is new here needs a line in _FORMS."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in get_args(hint))
    # X | None and Annotated[X, ...] are written like X.
    return _FORMS[hint] if hint in _FORMS else _form(get_args(hint)[0])


def _limits(field: FieldInfo) -> str:
    found = [str(getattr(part, name)) for part in field.metadata for name in ("ge", "le")
             if hasattr(part, name)]  # fmt: skip
    return f", {' to '.join(found)}" if found else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required() or value is None:
        return "must be given" if field.is_required() else ""
    if isinstance(value, float):
        units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"), (0.001, "ms"))
        value = next(f"{value / n:.0f}{unit}" for n, unit in units if (value / n).is_integer())
    elif not isinstance(value, bool | int):
        value = list(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(page())
