"""Takes up where an earlier run stopped: bans, counts, and how often whom was banned before.

The daemon: puts the parts together, runs them as one task tree, and takes them down again.

Stopping is an exception that ends the tree. Bans stay in force when the daemon stops.
"""

from __future__ import annotations

import asyncio
import gc
import signal

from mailbanned.address import Network
from mailbanned.clock import Clock, SystemClock
from mailbanned.config import Config, ConfigError, Problem
from mailbanned.config.isolated import load_isolated
from mailbanned.control import ControlError
from mailbanned.control.server import ControlServer
from mailbanned.daemon import factory, status
from mailbanned.daemon.accounts import Asker
from mailbanned.daemon.commands import commands
from mailbanned.daemon.firewall import FirewallManager
from mailbanned.daemon.localaddr import own_addresses
from mailbanned.daemon.pipeline import Core
from mailbanned.daemon.sources import Following
from mailbanned.daemon.systemd import notify, reloading, watchdog
from mailbanned.daemon.writer import Saver
from mailbanned.jails import Engine, RestoredState
from mailbanned.log import get_logger
from mailbanned.sources import Watcher
from mailbanned.store import SQLiteStore, Store, StoreError


async def take_up_counts(engine: Engine, store: Store, clock: Clock) -> None:
    """Tells the engine whose failures the store has kept. Raises StoreError.

    A million of them take half a minute, so the bans are in force before that.
    """
    async for windows in store.windows():
        engine.restore(RestoredState(windows=windows), clock.now())
    if any(jail.settings.bantime_factor != 1 for jail in engine.jails.values()):
        await _remember_bans(engine, store)


async def _remember_bans(engine: Engine, store: Store) -> None:
    """Where bans grow, those of earlier runs count."""
    for one in await store.past():
        jail = engine.jails.get(one.jail)
        if jail is not None and one.how == "by hand":
            jail.ban_history.forget(one.subject)
        elif jail is not None and one.failures and one.until and one.how in (None, "expired"):
            jail.record_ban(one.subject, one.since, one.until)


log = get_logger("daemon")

_OWN_ADDRESSES_EVERY = 60.0
# So long a start waits for the bans of earlier runs to be in force.
_SETTLED_WITHIN_S = 10.0


class StartError(Exception):
    """The daemon cannot start; one sentence."""


class _Stop(Exception):
    """Ends the task tree."""


class Daemon:
    """The daemon with one configuration after another."""

    def __init__(
        self, config: Config, *, dry_run: bool = False, flush_on_exit: bool = False,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock or SystemClock()
        self.config = config
        self._flush_on_exit = flush_on_exit
        self._started = self.loaded_at = self.clock.now()
        self.last_reload = status.Reload(True, self._started)
        self.own: tuple[Network, ...] = own_addresses()
        self.engine = Engine(config.jails, self.own, config.file.outage)
        self.store: Store = SQLiteStore(config.file.store.path)
        self.saver = Saver(self.store)
        self.asker = Asker(factory.accounts(config.file.accounts, self.clock))
        self.firewall = FirewallManager(
            self.engine.ledger, self.clock, config.file.firewall, dry_run
        )
        self.core = Core(self.engine, self.clock, self.saver, self.firewall, ask=self.asker.ask)
        self.core.filters = config.filter_sets(config.jails)
        self.saver.windows = self.core.changed_windows
        self.watcher = Watcher()
        self._following: Following | None = None
        self._unreadable: StoreError | None = None
        self._banned_before: dict[str, int] = {}
        self._reloads = asyncio.Lock()

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Raises StartError if it cannot even begin."""
        now = self.clock.now()
        try:
            state = await self.store.load(now, self.engine.findtime)
        except StoreError as error:
            raise StartError(str(error)) from None
        control = self.config.file.control
        server = ControlServer(control.socket, commands(self), control.group)
        try:
            self.engine.restore(
                RestoredState(state.bans), now
            )  # later, what has ended would stay saved
            self._banned_before = dict(state.banned_total)
            self.saver.marks = dict(state.marks)
            async with server.listening():
                await self._tree()
            if self._unreadable is not None:
                raise self._unreadable
        except (ControlError, StoreError) as error:
            raise StartError(str(error)) from None
        finally:
            notify("STOPPING=1")
            await self._wind_up()

    async def _tree(self) -> None:
        """Everything that runs at the same time."""
        signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
        try:
            _spare_the_collector()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.watcher.run())
                tasks.create_task(self.core.intake.run())
                tasks.create_task(self.core.expire())
                tasks.create_task(self.asker.run(self.core.answer))
                tasks.create_task(self.saver.run())
                tasks.create_task(self.saver.tidy(self.clock, lambda: self.engine.findtime))
                tasks.create_task(self._follow_own_addresses())
                tasks.create_task(watchdog())
                self.firewall.start(tasks)
                try:
                    await take_up_counts(self.engine, self.store, self.clock)
                except StoreError as error:
                    self._unreadable = error
                    raise _Stop from None
                self._following = Following(tasks, self.clock, self.watcher, self.core, self.saver)
                await self._following.follow(self.config)
                tasks.create_task(self._obey_signals(signals))
                # What is ordered after us (mail servers, say) finds the banned kept out.
                await self.firewall.wait_until_settled(_SETTLED_WITHIN_S)
                notify("READY=1", f"STATUS={self._summary()}")
                log.info(
                    "mailbanned is at work",
                    config=str(self.config.path),
                    jails=len(self.config.jails),
                    bans=len(self.engine.ledger.subjects()),
                )
                for warning in self.config.warnings:
                    log.warning(warning)
        except* _Stop:
            if self._flush_on_exit:
                await self.firewall.flush()
            else:
                log.info("stopping; bans stay in force")

    async def _wind_up(self) -> None:
        """After the tree: what must be written down and let go of."""
        await self.saver.save()
        await self.asker.accounts.close()
        await self.store.close()

    async def _obey_signals(self, caught: asyncio.Queue[signal.Signals]) -> None:
        while await caught.get() == signal.SIGHUP:
            await self.reload()
        raise _Stop

    async def reload(self) -> status.Reload:
        """Takes the configuration files anew, as a whole or not at all; bans and counts stay."""
        async with self._reloads:
            reloading()
            try:
                config = await load_isolated(self.config.path)
                self._refuse_what_needs_a_start(config)
                await self._take(config)
                _spare_the_collector()
            except ConfigError as error:
                errors = [str(problem) for problem in error.problems]
                self.last_reload = status.Reload(False, self.clock.now(), errors)
                log.error("the new configuration is refused; the old one goes on", errors=errors)
            except Exception as error:  # a bug in a reload must not end the protection
                self.last_reload = status.Reload(False, self.clock.now(), [f"a bug: {error!r}"])
                log.exception("the reload failed; this is a bug, please report it")
            else:
                self.last_reload = status.Reload(True, self.clock.now())
                log.info("the new configuration is in use", jails=len(config.jails))
            notify("READY=1", f"STATUS={self._summary()}")
            return self.last_reload

    def _refuse_what_needs_a_start(self, config: Config) -> None:
        old, new = self.config.file, config.file
        keys = [
            key
            for key, before, after in (
                ("store.path", old.store.path, new.store.path),
                ("control.socket", old.control.socket, new.control.socket),
                ("control.group", old.control.group, new.control.group),
                ("log", old.log, new.log),
            )
            if before != after
        ]
        if keys:
            what, remedy = "cannot change while running", "restart mailbanned; bans stay in force"
            raise ConfigError([Problem(str(config.path), key, what, remedy) for key in keys])

    async def _take(self, config: Config) -> None:
        """From here on nothing can be refused any more."""
        before, self.config = self.config, config
        self.loaded_at = self.clock.now()
        self._configure_engine()
        self.engine.outage_detector.configure(config.file.outage)
        self.core.filters = config.filter_sets(config.jails, self.core.filters)
        # Always, since the password file may have changed.
        await self.asker.exchange(factory.accounts(config.file.accounts, self.clock))
        if config.file.firewall != before.file.firewall:
            await self.firewall.exchange(config.file.firewall)
        if self._following is not None:
            await self._following.follow(config)

    def _configure_engine(self) -> None:
        ignore = self.config.file.defaults.ignore
        for unban in self.engine.configure(self.config.jails, self.own, self.clock.now(), ignore):
            self.core.lifted(unban)

    async def _follow_own_addresses(self) -> None:
        while True:
            await asyncio.sleep(_OWN_ADDRESSES_EVERY)
            own = own_addresses()
            if own != self.own:
                self.own = own
                self._configure_engine()

    def _summary(self) -> str:
        return (
            f"{len(self.config.jails)} jails, {len(self.engine.ledger.subjects())} banned, "
            f"firewall {self.firewall.state().state}"
        )

    def status(self, jail: str | None = None) -> dict[str, object]:
        """The status document."""
        parts = status.Parts(
            config=self.config,
            loaded_at=self.loaded_at,
            last_reload=self.last_reload,
            core=self.core,
            saver=self.saver,
            accounts=self.asker.accounts,
            unasked=self.asker.unasked,
            firewall=self.firewall,
            sources=self._following.sources if self._following else {},
            banned_before=self._banned_before,
        )
        return status.document(parts, self.clock.now(), self._started, jail)


def _spare_the_collector() -> None:
    """What is there now will stay, and is not looked at again by each full garbage collection.

    That would take longer than many a ban, and hold up everything.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
