"""Windows that were packed bit by bit: of one subject the last word holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbanned.store import Changes, PackedWindows
from tests.store.support import NOW, saved, subject, windows_at

KEY, OTHER = ("sshd", subject(1)), ("sshd", subject(2))


@pytest.mark.parametrize("length", [1, 2_000_000], ids=["documents", "one document"])
@pytest.mark.parametrize(
    "times",
    [[(NOW,), (NOW, NOW + 1)], [(NOW,), ()], [(), (NOW,)], [(NOW,), (), (NOW + 1,)], [(), ()]],
)
async def test_the_last_one_holds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    times: list[tuple[float, ...]],
    length: int,
) -> None:
    """Counted, banned and counted again between two saves: the file holds what was true last."""
    monkeypatch.setattr("mailbanned.store.packed_counts._DOCUMENT", length)
    packed = PackedWindows({OTHER: (NOW,)})
    for some in times:
        packed.add({KEY: some})
    await saved(tmp_path / "state.db", Changes(windows={KEY: (NOW - 1,)}), Changes((), packed))
    expected = {OTHER: (NOW,)} | ({KEY: times[-1]} if times[-1] else {})
    assert await windows_at(tmp_path / "state.db") == expected


def test_what_was_not_saved_stands_before_what_came_since() -> None:
    """A save that failed is put back; what was counted meanwhile holds."""
    failed, since = PackedWindows({KEY: (NOW,), OTHER: (NOW,)}), PackedWindows({KEY: (NOW + 1,)})
    failed.extend(since)
    assert failed == {KEY: (NOW + 1,), OTHER: (NOW,)}
