"""The state file: what comes back after a restart, exactly."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.model import Ban, Unban
from mailbanned.store import Changes, CheckpointKey
from tests.store.support import (
    FINDTIME,
    NOW,
    ban,
    meddle,
    opened,
    rows,
    saved,
    state_at,
    subject,
    unban,
    windows_at,
)

DAY = 86400.0
# What the last version with the first schema has saved.
SCHEMA_1 = Path(__file__).parent / "schema1.sql"


async def test_everything_comes_back(tmp_path: Path) -> None:
    """Bans with all their values, counts and checkpoints survive a restart."""
    bans = [
        ban(1, since=NOW - 30.25),
        ban(1, "dovecot", until=None, since=NOW - 20, user=None, failures=1),
        ban(2, since=NOW - 10, user="caf\u00e9\n\0\U0001f600", reason=""),
    ]
    windows = {("sshd", subject(3)): (NOW - 2.5, NOW - 1.000001), ("a", subject(3)): (NOW,)}
    checkpoints = {
        CheckpointKey("8:2", "postfix"): '{"offset": 5}',
        CheckpointKey("8:1", "postfix"): "x",
        CheckpointKey("journal sshd.service", "sshd"): "s=1;i=2",
    }
    await saved(tmp_path / "state.db", Changes(tuple(bans), windows, checkpoints))
    state = await state_at(tmp_path / "state.db")
    assert list(state.bans) == bans
    assert await windows_at(tmp_path / "state.db") == windows
    assert list(state.checkpoints.items()) == list(checkpoints.items())
    assert state.banned_total == {"sshd": 2, "dovecot": 1}


async def test_only_bans_that_still_hold_come_back(tmp_path: Path) -> None:
    """A ban that ended while nobody ran is gone; permanent ones always come back."""
    path = tmp_path / "state.db"
    await saved(path, Changes((ban(1, until=NOW + 5), ban(2, until=NOW + 10), ban(3, until=None))))
    assert [b.subject for b in (await state_at(path, NOW + 5)).bans] == [subject(2), subject(3)]
    assert [b.subject for b in (await state_at(path, NOW + 1e6)).bans] == [subject(3)]
    assert (await state_at(path, NOW + 1e6)).banned_total == {"sshd": 3}


async def test_decisions_are_taken_in_order(tmp_path: Path) -> None:
    """Who is banned, let in and banned again in one transaction is banned, and was so twice."""
    again = ban(1, until=NOW + 500, since=NOW + 1)
    await saved(tmp_path / "state.db", Changes((ban(1), unban(1), again)))
    state = await state_at(tmp_path / "state.db")
    assert list(state.bans) == [again]
    assert state.banned_total == {"sshd": 2}
    assert rows(tmp_path / "state.db", "SELECT ended, how FROM history ORDER BY id") == [
        (NOW, "by hand"),
        (None, None),
    ]


DECISIONS = st.lists(
    st.builds(lambda n, j, out: unban(n, j) if out else ban(n, j), st.integers(0, 2),
              st.sampled_from(["a", "b"]), st.booleans()), max_size=12,
)  # fmt: skip


@settings(max_examples=25)
@given(transactions=st.lists(DECISIONS, max_size=4))
async def test_decisions_against_a_model(
    transactions: list[list[Ban | Unban]], tmp_path: Path
) -> None:
    """However decisions are spread over transactions, the last one of each ban decides."""
    path = tmp_path / "state.db"
    path.unlink(missing_ok=True)
    model: dict[tuple[str, str], Ban] = {}
    for one in (decision for decisions in transactions for decision in decisions):
        if isinstance(one, Ban):
            model[one.subject, one.jail] = one
        else:
            model.pop((one.subject, one.jail), None)
    await saved(path, *(Changes(tuple(decisions)) for decisions in transactions))
    state = await state_at(path)
    assert {(b.subject, b.jail): b for b in state.bans} == model


async def test_checkpoints_come_back_in_the_order_of_writing(tmp_path: Path) -> None:
    """A checkpoint that is written again is the last one; a deleted one is gone; others stay."""
    first, second, third = (CheckpointKey("8:1", source) for source in ("a", "b", "c"))
    await saved(
        tmp_path / "state.db",
        Changes(checkpoints={first: "1", second: "2", third: "3"}),
        Changes(checkpoints={first: "4", third: None}),
    )
    checkpoints = (await state_at(tmp_path / "state.db")).checkpoints
    assert list(checkpoints.items()) == [(second, "2"), (first, "4")]


async def test_a_state_file_of_schema_1_is_taken_over(tmp_path: Path) -> None:
    """Bans, history, counts and checkpoints of the first schema come back; it is migrated once.

    Of a log that a stopped source had read, and a running one further, the latter counts.
    """
    path = tmp_path / "state.db"
    meddle(path, SCHEMA_1.read_text())
    for _ in range(2):
        state = await state_at(path)
        assert [b.subject for b in state.bans] == [subject(1), subject(2)]
        assert state.banned_total == {"sshd": 2, "dovecot": 1}
        assert await windows_at(path) == {("sshd", subject(4)): (NOW - 2.5, NOW - 1)}
        offsets = {
            (key.source, key.name): value
            if key.source == "postfix"
            else json.loads(value)["offset"]
            for key, value in state.checkpoints.items()
        }
        assert offsets == {
            ("secure", "7:1:a"): 500,
            ("mail", "8:1:b"): 300,
            ("postfix", "journal postfix.service"): "@5 s=1;i=9",
        }
    assert rows(path, "PRAGMA user_version") == [(2,)]


async def test_windows_are_replaced_and_deleted(tmp_path: Path) -> None:
    """A window's new times replace the old ones, no times delete it, others stay."""
    one, two, three = (("sshd", subject(number)) for number in (1, 2, 3))
    await saved(
        tmp_path / "state.db",
        Changes(windows={one: (NOW,), two: (NOW,), three: (NOW,)}),
        Changes(windows={one: (NOW, NOW + 1), two: ()}),
    )
    windows = await windows_at(tmp_path / "state.db")
    assert windows == {one: (NOW, NOW + 1), three: (NOW,)}


async def test_history_keeps_no_names(tmp_path: Path) -> None:
    """When a ban has ended, lifted or over at the next start, its name is in no table any more."""
    path = tmp_path / "state.db"
    typed = (ban(1, user="hunter2"), ban(2, user="hunter2", until=NOW + 5))
    await saved(path, Changes(typed), Changes((unban(1),)))
    await state_at(path, NOW + 5)
    tables = [name for (name,) in rows(path, "SELECT name FROM sqlite_master WHERE type='table'")]
    assert "history" in tables
    content = [row for table in tables for row in rows(path, f"SELECT * FROM {table}")]
    assert subject(1) in str(content)
    assert subject(2) in str(content)
    assert "hunter2" not in str(content)


async def test_ten_thousand_at_once(tmp_path: Path) -> None:
    """A wave of 10,000 bans with their windows is one transaction and comes back whole."""
    bans = tuple(ban(number) for number in range(10_000))
    windows = {("sshd", one.subject): (NOW,) for one in bans}
    await saved(tmp_path / "state.db", Changes(bans, windows))
    state = await state_at(tmp_path / "state.db")
    assert set(state.bans) == set(bans)
    assert await windows_at(tmp_path / "state.db") == windows


async def test_the_file_shrinks_again(tmp_path: Path) -> None:
    """While the daemon runs, old history and old counts are forgotten, and the space given back."""
    path = tmp_path / "state.db"
    old = tuple(ban(number, since=NOW - 400 * DAY, until=NOW + 5) for number in range(5_000))
    windows = {("sshd", subject(number)): (NOW - 40 * DAY,) for number in range(5_000)}
    async with opened(path) as store:
        await store.save(Changes((*old, ban(1, "kept")), windows | {("sshd", subject(9)): (NOW,)}))
        await store.save(Changes(tuple(unban(number) for number in range(5_000))))
        await store.prune(NOW - 300 * DAY, FINDTIME)
        full = path.stat().st_size
        assert len(rows(path, "SELECT * FROM history")) == 5_001
        await store.prune(NOW, FINDTIME)
        assert [jail for (jail,) in rows(path, "SELECT jail FROM history")] == ["kept"]
        assert rows(path, "SELECT subject FROM windows") == [(subject(9),)]
        assert path.stat().st_size < full / 5
        assert path.with_name("state.db-wal").stat().st_size == 0


async def test_history_is_bounded(tmp_path: Path) -> None:
    """At start, history is cut to the newest 100,000 bans of the last year."""
    path = tmp_path / "state.db"
    await saved(path, Changes((ban(1, "old", since=NOW - 400 * DAY),)))
    meddle(
        path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100010) "
        f"INSERT INTO history (jail, subject, since, failures, reason) "
        f"SELECT 'new', '192.0.2.1/32', {NOW}, 3, '' FROM n",
    )
    assert (await state_at(path)).banned_total == {"new": 100_000}


async def test_old_windows_go(tmp_path: Path) -> None:
    """Counts that are too old for every jail are not kept."""
    old, new = ("sshd", subject(1)), ("sshd", subject(2))
    path = tmp_path / "state.db"
    await saved(path, Changes(windows={old: (NOW - FINDTIME,), new: (NOW - FINDTIME + 1,)}))
    assert set(await windows_at(path)) == {new}


async def test_half_a_surrogate_is_no_trouble(tmp_path: Path) -> None:
    """Text that is no Unicode (a reason typed with stray bytes) is kept with question marks."""
    await saved(tmp_path / "state.db", Changes((ban(1, reason="a\udcffb", user="\ud800"),)))
    (back,) = (await state_at(tmp_path / "state.db")).bans
    assert (back.reason, back.user) == ("a?b", "?")


async def test_it_can_be_loaded_again(tmp_path: Path) -> None:
    """A closed store may be loaded again and goes on where it was."""
    async with opened(tmp_path / "state.db") as store:
        await store.save(Changes((ban(1),)))
        await store.close()
        assert list((await store.load(NOW, FINDTIME)).bans) == [ban(1)]
