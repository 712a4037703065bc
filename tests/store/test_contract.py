"""What every store does, the one that forgets included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mailbanned.store import Changes, CheckpointKey, MemoryStore, SQLiteStore, State, Store
from tests.store.support import FINDTIME, NOW, ban, subject, unban

KEY = CheckpointKey("1:2", "log")
Make = Callable[[Path], Store]


@pytest.fixture(params=[lambda _: MemoryStore(), SQLiteStore], ids=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    make: Make = request.param
    return make(tmp_path / "state.db")


async def test_a_new_store_is_empty(store: Store) -> None:
    """On the first start nobody is banned, nothing is counted, and nothing has been read."""
    state = await store.load(NOW, FINDTIME)
    assert (list(state.bans), dict(state.checkpoints)) == ([], {})
    assert [some async for some in store.windows()] == []
    assert dict(state.banned_total) == {}
    await store.close()


async def test_it_takes_every_kind_of_change(store: Store) -> None:
    """Bans, unbans, windows, marks, and nothing at all are saved without complaint."""
    await store.load(NOW, FINDTIME)
    await store.save(Changes((ban(1), unban(1)), {("sshd", subject(1)): (NOW,)}, {KEY: "{}"}))
    await store.save(Changes(windows={("sshd", subject(1)): ()}, checkpoints={KEY: None}))
    await store.save(Changes())
    await store.close()


async def test_closing_twice_is_closing(store: Store) -> None:
    """A store may be closed more than once, and also if it was never loaded."""
    await store.close()
    await store.load(NOW, FINDTIME)
    await store.close()
    await store.close()


async def test_memory_remembers_for_tests() -> None:
    """The memory store shows what it was given, in order, and starts empty all the same."""
    store = MemoryStore()
    first, second = Changes((ban(1),)), Changes((unban(1),))
    await store.save(first)
    await store.save(second)
    assert store.saved == [first, second]
    assert await store.load(NOW, FINDTIME) == State()


@pytest.mark.parametrize(
    ("changes", "any_"),
    [
        (Changes(), False),
        (Changes((ban(1),)), True),
        (Changes(windows={("sshd", subject(1)): ()}), True),
        (Changes(checkpoints={KEY: None}), True),
    ],
)
def test_changes_know_whether_there_are_any(changes: Changes, any_: bool) -> None:
    """Changes are true if there is anything to save, a deletion included."""
    assert bool(changes) is any_
