"""`mailbanned check`: validates the configuration, and runs the samples of its filters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailbanned.cli.common import BAD_CONFIG, Options, json_option, load, print_json
from mailbanned.clock import format_duration

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
    click.echo(f"{path}: OK")
    for rules in config.jails:
        click.echo(f"  {rules.name}: {_summary(rules)}")
    for rules in config.disabled:
        click.echo(f"  {rules.name}: disabled")
    samples = sum(len(filter_.samples) for filter_ in config.filters.values())
    click.echo(f"  {len(config.filters)} filters, all {samples} samples pass")
    for hint in _hints(config):
        click.echo(f"mailbanned: {hint}", err=True)


def _summary(rules: JailSettings) -> str:
    unknown = ", unknown accounts only" if rules.unknown_accounts else ""
    grows = f", then {rules.bantime_factor:g} times as long" if rules.bantime_factor > 1 else ""
    widens = ""
    if rules.widen_after:
        networks = f"/{rules.widen_ipv4} (/{rules.widen_ipv6})"
        widens = f"; {rules.widen_after} of a {networks}: all of it"
    return (
        f"{rules.maxretry} in {format_duration(rules.findtime)} of {rules.source} "
        f"({rules.filter}{unknown}) -> banned {format_duration(rules.bantime)}{grows}{widens}"
    )


def _hints(config: Config) -> list[str]:
    """What is allowed but surely not meant, and filters that were not checked."""
    filters = sorted((config.path.parent / "filters").glob("*.toml"))
    unused = [str(path) for path in filters if path.stem not in config.filters]
    return [
        *config.warnings,
        *(f"{path} was not checked, since no jail uses it" for path in unused),
    ]


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
        "version": 1,
        "ok": True,
        "path": str(path),
        "errors": [],
        "jails": jails,
        "hints": hints,
    }
