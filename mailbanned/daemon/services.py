"""The parts of a daemon, put together from a configuration and the saved state.

Commands and reports get these, not the daemon that runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailbanned.clock import Clock
from mailbanned.config import Config
from mailbanned.daemon import factory
from mailbanned.daemon.accounts import AccountChecker
from mailbanned.daemon.checkpoints import Checkpoints
from mailbanned.daemon.firewall import FirewallManager
from mailbanned.daemon.localaddr import own_addresses
from mailbanned.daemon.pipeline import Pipeline
from mailbanned.daemon.sources import SourceManager
from mailbanned.daemon.writer import PendingChanges, StateWriter
from mailbanned.jails import Engine, RestoredState
from mailbanned.sources import Journalctl, Watcher
from mailbanned.store import State, Store


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """How the last (re)load of the configuration went."""

    ok: bool
    at: float
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Services:
    """What runs, and with which configuration.

    loaded_at: when the configuration was loaded (epoch). started: when the daemon started (epoch).
    banned_before: how many bans each jail made in earlier runs.
    """

    config: Config
    loaded_at: float
    last_reload: ReloadResult
    started: float
    banned_before: Mapping[str, int]
    clock: Clock
    engine: Engine
    store: Store
    writer: StateWriter
    account_checker: AccountChecker
    pipeline: Pipeline
    firewall: FirewallManager
    watcher: Watcher
    journalctl: Journalctl
    sources: SourceManager


def build_services(
    config: Config, clock: Clock, store: Store, state: State, *, dry_run: bool, now: float
) -> Services:
    """Builds the parts bottom-up. now: when the state was loaded."""
    engine = Engine(config.jails, own_addresses(), config.file.outage)
    # As of then: a ban that has ended since is expired by the pipeline, which also saves that.
    engine.restore(RestoredState(state.bans), now)
    checkpoints = Checkpoints(state.checkpoints)
    pending = PendingChanges(checkpoints)
    account_checker = AccountChecker(factory.accounts(config.file.accounts, clock))
    filters = config.filter_sets(config.jails)
    firewall = FirewallManager(engine.ledger, clock, config.file.firewall, dry_run)
    pipeline = Pipeline(engine, clock, pending, firewall, account_checker.submit, filters)
    watcher, journalctl = Watcher(), Journalctl(clock)
    return Services(
        config=config,
        loaded_at=now,
        last_reload=ReloadResult(True, now),
        started=now,
        banned_before=state.banned_total,
        clock=clock,
        engine=engine,
        store=store,
        writer=StateWriter(store, pending, pipeline.changed_windows),
        account_checker=account_checker,
        pipeline=pipeline,
        firewall=firewall,
        watcher=watcher,
        journalctl=journalctl,
        sources=SourceManager(clock, watcher, journalctl, pipeline.scheduler, checkpoints),
    )
