"""The daemon: runs its parts as one task tree, reloads their configuration, and stops them.

Stopping is an exception that ends the tree. Bans stay in force when the daemon stops.
"""

from __future__ import annotations

import asyncio
import gc
import signal

from mailbanned.clock import Clock, SystemClock
from mailbanned.config import Config, ConfigError, Problem
from mailbanned.config.isolated import load_isolated
from mailbanned.control import ControlError
from mailbanned.control.server import ControlServer
from mailbanned.daemon import factory
from mailbanned.daemon.commands import commands
from mailbanned.daemon.localaddr import own_addresses
from mailbanned.daemon.services import ReloadResult, Services, build_services
from mailbanned.daemon.systemd import notify, reloading, watchdog
from mailbanned.jails import Engine, RestoredState
from mailbanned.log import get_logger
from mailbanned.store import SQLiteStore, Store, StoreError

_log = get_logger("daemon")

_OWN_ADDRESSES_EVERY_S = 60.0
# For how long a start waits for the bans of earlier runs to be in force.
_SETTLED_WITHIN_S = 10.0


class StartError(Exception):
    """The daemon cannot start; one sentence."""


class _Stop(Exception):
    """Ends the task tree."""


class Daemon:
    """The daemon with one configuration after another.

    store: by default, the state file of the configuration.
    """

    def __init__(
        self, config: Config, *, dry_run: bool = False, flush_on_exit: bool = False,
        clock: Clock | None = None, store: Store | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._dry_run = dry_run
        self._flush_on_exit = flush_on_exit
        self._clock = clock or SystemClock()
        self._store = store or SQLiteStore(config.file.store.path)

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Raises StartError if it cannot start."""
        now = self._clock.now()
        findtime = max((jail.findtime for jail in self._config.jails), default=0.0)
        try:
            state = await self._store.load(now, findtime)
        except StoreError as error:
            raise StartError(str(error)) from None
        services = build_services(
            self._config, self._clock, self._store, state, dry_run=self._dry_run, now=now
        )
        await _Run(services, self._flush_on_exit).run()


class _Run:
    """One run of the parts of a daemon."""

    def __init__(self, services: Services, flush_on_exit: bool) -> None:
        self._services = services
        self._flush_on_exit = flush_on_exit
        self._tasks = asyncio.TaskGroup()
        self._reload_lock = asyncio.Lock()
        self._own_addresses = own_addresses()

    async def run(self) -> None:
        services = self._services
        control = services.config.file.control
        server = ControlServer(control.socket, commands(services, self.reload), control.group)
        try:
            async with server.listening():
                unreadable = await self._run_tasks()
            if unreadable is not None:
                raise unreadable
        except (ControlError, StoreError) as error:
            raise StartError(str(error)) from None
        finally:
            notify("STOPPING=1")
            await self._shutdown()

    async def _run_tasks(self) -> StoreError | None:
        """Runs all tasks until a signal; returns what made the counts unreadable."""
        signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
        services, unreadable = self._services, None
        pipeline, writer = services.pipeline, services.writer
        try:
            _freeze_gc()
            async with self._tasks as tasks:
                tasks.create_task(services.watcher.run())
                tasks.create_task(services.journalctl.run())
                tasks.create_task(pipeline.scheduler.run())
                tasks.create_task(pipeline.expire())
                tasks.create_task(services.account_checker.run(pipeline.on_account_checked))
                tasks.create_task(writer.run())
                tasks.create_task(writer.prune(services.clock, lambda: services.engine.findtime))
                tasks.create_task(self._follow_own_addresses())
                tasks.create_task(watchdog())
                services.firewall.start(tasks)
                try:
                    # A reload waits: it would start sources before the counts are there.
                    async with self._reload_lock:
                        await restore_counts(services.engine, services.store, services.clock)
                        await services.sources.apply(services.config, tasks)
                except StoreError as error:
                    unreadable = error
                    raise _Stop from None
                tasks.create_task(self._handle_signals(signals))
                # Units ordered after this one (mail servers, say) start with all bans in force.
                await services.firewall.wait_until_settled(_SETTLED_WITHIN_S)
                self._report_start()
        except* _Stop:
            if self._flush_on_exit:
                await services.firewall.flush()
            else:
                _log.info("stopping; bans stay in force")
        return unreadable

    def _report_start(self) -> None:
        services = self._services
        notify("READY=1", f"STATUS={self._summary()}")
        _log.info(
            "mailbanned is at work",
            config=str(services.config.path),
            jails=len(services.config.jails),
            bans=len(services.engine.ledger.subjects()),
        )
        for warning in services.config.warnings:
            _log.warning(warning)

    async def _shutdown(self) -> None:
        await self._services.writer.save()
        await self._services.account_checker.accounts.close()
        await self._services.store.close()

    async def _handle_signals(self, caught: asyncio.Queue[signal.Signals]) -> None:
        while await caught.get() == signal.SIGHUP:
            await self.reload()
        raise _Stop

    async def reload(self) -> ReloadResult:
        """Loads the configuration files again, as a whole or not at all; bans and counts stay."""
        services = self._services
        async with self._reload_lock:
            reloading()
            try:
                config = await load_isolated(services.config.path)
                _reject_restart_only_changes(services.config, config)
                await self._apply_config(config)
                _freeze_gc()
            except ConfigError as error:
                errors = [str(problem) for problem in error.problems]
                result = ReloadResult(False, services.clock.now(), errors)
                _log.error("the new configuration is refused; the old one goes on", errors=errors)
            except Exception as error:  # a bug in a reload must not end the protection
                result = ReloadResult(False, services.clock.now(), [f"a bug: {error!r}"])
                _log.exception("the reload failed; this is a bug, please report it")
            else:
                result = ReloadResult(True, services.clock.now())
                _log.info("the new configuration is in use", jails=len(config.jails))
            services.last_reload = result
            notify("READY=1", f"STATUS={self._summary()}")
            return result

    async def _apply_config(self, config: Config) -> None:
        """Applies a configuration that is valid as a whole."""
        services = self._services
        before, services.config = services.config, config
        services.loaded_at = services.clock.now()
        self._configure_engine()
        services.engine.outage_detector.configure(config.file.outage)
        pipeline = services.pipeline
        pipeline.filters = config.filter_sets(config.jails, pipeline.filters)
        # Always, since the password file may have changed.
        accounts = factory.accounts(config.file.accounts, services.clock)
        await services.account_checker.exchange(accounts)
        if config.file.firewall != before.file.firewall:
            await services.firewall.exchange(config.file.firewall)
        await services.sources.apply(config, self._tasks)

    def _configure_engine(self) -> None:
        services = self._services
        unbans = services.engine.configure(
            services.config.jails,
            self._own_addresses,
            services.clock.now(),
            services.config.file.defaults.ignore,
        )
        for unban in unbans:
            services.pipeline.on_unbanned(unban)

    async def _follow_own_addresses(self) -> None:
        while True:
            await asyncio.sleep(_OWN_ADDRESSES_EVERY_S)
            addresses = own_addresses()
            if addresses != self._own_addresses:
                self._own_addresses = addresses
                self._configure_engine()

    def _summary(self) -> str:
        services = self._services
        return (
            f"{len(services.config.jails)} jails, "
            f"{len(services.engine.ledger.subjects())} banned, "
            f"firewall {services.firewall.state().state}"
        )


def _reject_restart_only_changes(old: Config, new: Config) -> None:
    """Raises ConfigError if the new configuration changes what only a restart can change."""
    keys = [
        key
        for key, before, after in (
            ("store.path", old.file.store.path, new.file.store.path),
            ("control.socket", old.file.control.socket, new.file.control.socket),
            ("control.group", old.file.control.group, new.file.control.group),
            ("log", old.file.log, new.file.log),
        )
        if before != after
    ]
    if keys:
        what, remedy = "cannot change while running", "restart mailbanned; bans stay in force"
        raise ConfigError([Problem(str(new.path), key, what, remedy) for key in keys])


async def restore_counts(engine: Engine, store: Store, clock: Clock) -> None:
    """Restores the failures and past bans of earlier runs. Raises StoreError.

    A million of them take half a minute, so the bans are in force before that.
    """
    async for windows in store.windows():
        engine.restore(RestoredState(windows=windows), clock.now())
    if any(jail.settings.bantime_factor != 1 for jail in engine.jails.values()):
        await _restore_ban_history(engine, store)


async def _restore_ban_history(engine: Engine, store: Store) -> None:
    for ban in await store.past_bans():
        jail = engine.jails.get(ban.jail)
        if jail is not None and ban.end_reason == "by hand":
            jail.ban_history.forget(ban.subject)
        elif jail and ban.failures and ban.until and ban.end_reason in (None, "expired"):
            jail.record_ban(ban.subject, ban.since, ban.until)


def _freeze_gc() -> None:
    """Exempts the objects of now from garbage collection, so that a full one delays no ban."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
