"""`mailbanned run`: runs the daemon in the foreground."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from mailbanned.cli.common import BAD_CONFIG, CliError, Options, config_error


@click.command()
@click.option("--dry-run", is_flag=True, help="Decide and log, but do not touch the firewall.")
@click.option("--flush-on-exit", is_flag=True, help="Remove all bans from the firewall at the end.")
@click.pass_obj
def run(options: Options, dry_run: bool, flush_on_exit: bool) -> None:
    """Run the daemon in the foreground (systemd does this)."""
    from mailbanned.config import SHIPPED, ConfigError
    from mailbanned.daemon import StartError

    if not options.named and not options.config.exists():
        raise CliError(
            f"there is no configuration at {options.config}; copy "
            f"{SHIPPED / 'mailbanned.toml'} there and adapt it",
            BAD_CONFIG,
        )
    try:
        asyncio.run(_run(options.config, dry_run, flush_on_exit))
    except ConfigError as error:
        raise config_error(error) from None
    except StartError as error:
        raise CliError(str(error)) from None


async def _run(path: Path, dry_run: bool, flush_on_exit: bool) -> None:
    from mailbanned import log
    from mailbanned.config.isolated import load_isolated
    from mailbanned.daemon import Daemon

    config = await load_isolated(path)
    log.configure_logging(config.file.log.format, config.file.log.level)
    await Daemon(config, dry_run=dry_run, flush_on_exit=flush_on_exit).run()
