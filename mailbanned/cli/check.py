"""`mailbanned check`: is the configuration good, and do its filters catch what they promise?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailbanned.cli.common import BAD_CONFIG, Options, json_option, load, print_json, span

if TYPE_CHECKING:
    from mailbanned.config import Config
    from mailbanned.jails import JailSettings


@click.command()
@json_option
@click.pass_obj
@click.pass_context
def check(ctx: click.Context, options: Options, as_json: bool) -> None:
    """Validate the configuration and run every filter's samples."""
    path = options.file()
    if as_json:
        document = _document(path)
        print_json(document)
        ctx.exit(0 if document["ok"] else BAD_CONFIG)
    config = load(path)
    click.echo(f"{path}: good")
    for rules in config.jails:
        unknown = ", unknown accounts only" if rules.unknown_accounts else ""
        grows = f", then {rules.bantime_factor:g} times as long" if rules.bantime_factor > 1 else ""
        click.echo(
            f"  {rules.name}: {rules.maxretry} in {span(rules.findtime)} of {rules.source} "
            f"({rules.filter}{unknown}) -> banned {span(rules.bantime)}{grows}{_widens(rules)}"
        )
    for rules in config.disabled:
        click.echo(f"  {rules.name}: rests (enabled = false)")
    samples = sum(len(one.samples) for one in config.filters.values())
    click.echo(f"  {len(config.filters)} filters, all {samples} samples as they should be")
    for hint in _hints(config):
        click.echo(f"mailbanned: {hint}", err=True)


def _widens(rules: JailSettings) -> str:
    if not rules.widen_after:
        return ""
    return f"; {rules.widen_after} of a /{rules.widen_ipv4} (/{rules.widen_ipv6}): all of it"


def _hints(config: Config) -> list[str]:
    """What is allowed but surely not meant; filters that nobody has looked at among it."""
    own = sorted((config.path.parent / "filters").glob("*.toml"))
    idle = [str(path) for path in own if path.stem not in config.filters]
    return [*config.warnings, *(f"{path} was not checked, since no jail uses it" for path in idle)]


def _document(path: Path) -> dict[str, Any]:
    from mailbanned.config import ConfigError
    from mailbanned.config.load import load as read

    try:
        config = read(path)
    except ConfigError as error:
        errors = [
            {"file": p.file, "key": p.key, "error": p.what, "remedy": p.remedy, "shown": p.shown}
            for p in error.problems
        ]
        return {"version": 1, "ok": False, "path": str(path), "errors": errors}
    jails = [rules.name for rules in config.jails]
    hints = _hints(config)
    return {
        "version": 1, "ok": True, "path": str(path), "errors": [], "jails": jails, "hints": hints
    }  # fmt: skip
