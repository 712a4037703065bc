"""Which checkpoints a source resumes at, when sources come, go and change their logs."""

from __future__ import annotations

from mailbanned.daemon.checkpoints import Checkpoints, Selector
from mailbanned.store import CheckpointKey


def reads(*names: str) -> Selector:
    """A source of these logs."""
    return lambda name, _: name in names


def test_a_source_takes_the_checkpoints_of_its_logs_whoever_wrote_them() -> None:
    """A log that moves to another source is resumed there, and the old source keeps nothing."""
    checkpoints = Checkpoints({CheckpointKey("a", "old"): "1", CheckpointKey("b", "old"): "2"})
    assert checkpoints.claim({"new": reads("a")}, running=()) == {"new": {"a": "1"}}
    assert checkpoints.take_changes() == {
        CheckpointKey("a", "old"): None,
        CheckpointKey("a", "new"): "1",
    }
    assert checkpoints.claim({"old": reads("a", "b")}, running=["new"]) == {"old": {"b": "2"}}


def test_two_sources_of_one_log_keep_their_own_positions() -> None:
    """Each resumes where it was itself; a third one where the one that wrote last was."""
    saved = {CheckpointKey("a", "one"): "1", CheckpointKey("a", "two"): "2"}
    both = {"one": reads("a"), "two": reads("a")}
    assert Checkpoints(saved).claim(both, running=()) == {"one": {"a": "1"}, "two": {"a": "2"}}
    checkpoints = Checkpoints(saved)
    checkpoints.claim(both, running=())
    checkpoints.update("one", {"a": "3"})
    assert checkpoints.claim({"third": reads("a")}, running=()) == {"third": {"a": "3"}}


def test_a_source_with_other_logs_keeps_what_it_had() -> None:
    """What it reports replaces what it has now, not the checkpoints of logs it had before."""
    checkpoints = Checkpoints({CheckpointKey("a", "log"): "1"})
    checkpoints.claim({"log": reads("b")}, running=())
    checkpoints.update("log", {"b": "2", "b2": "3"})
    checkpoints.update("log", {"b": "4"})
    assert checkpoints.take_changes() == {
        CheckpointKey("b2", "log"): None,
        CheckpointKey("b", "log"): "4",
    }
    assert checkpoints.claim({"log": reads("a")}, running=()) == {"log": {"a": "1"}}


def test_what_stays_the_same_is_not_saved_again() -> None:
    """Of many checkpoints only those that changed are written, every second of the day."""
    checkpoints = Checkpoints({})
    many = {f"8:{number}": "a" for number in range(200)}
    checkpoints.update("log", many)
    assert len(checkpoints.take_changes()) == 200
    checkpoints.update("log", {**many, "8:7": "b"})
    assert checkpoints.take_changes() == {CheckpointKey("8:7", "log"): "b"}
