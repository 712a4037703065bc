"""Takes up where an earlier run stopped: bans, counts, and how often whom was banned before."""

from __future__ import annotations

from mailbanned.clock import Clock
from mailbanned.jails import Engine, Saved
from mailbanned.store import Store


async def take_up_counts(engine: Engine, store: Store, clock: Clock) -> None:
    """Tells the engine whose failures the store has kept. Raises StoreError.

    A million of them take half a minute, so the bans are in force before that.
    """
    async for windows in store.windows():
        engine.restore(Saved(windows=windows), clock.now())
    if any(jail.rules.bantime_factor != 1 for jail in engine.jails.values()):
        await _remember_bans(engine, store)


async def _remember_bans(engine: Engine, store: Store) -> None:
    """Where bans grow, those of earlier runs count."""
    for one in await store.past():
        jail = engine.jails.get(one.jail)
        if jail is not None and one.how == "by hand":
            jail.offences.forget(one.subject)
        elif jail is not None and one.failures and one.until and one.how in (None, "expired"):
            jail.remember(one.subject, one.since, one.until)
