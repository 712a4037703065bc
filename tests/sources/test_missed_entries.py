"""JournalSource that has lines no more: it asks why, and tells if records do not reach it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.sources.journals import Journal, Sources
from tests.waiting import until


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def sources(journal: Journal) -> Sources:
    """Sources that take a tenth of a second for a long time."""
    sources = Sources(journal.command)
    sources.quiet_s = 0.1
    return sources


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with capture_logs() as said:
        yield said


def levels(said: list[EventDict]) -> list[str]:
    return [entry["log_level"] for entry in said]


def ago(seconds: float) -> float:
    return time.time() - seconds


async def test_a_journalctl_that_is_stuck(
    journal: Journal, sources: Sources, said: list[EventDict]
) -> None:
    """Records that our journalctl keeps back are told once, and come from a new one."""
    sshd = sources.start("sshd", "sshd")
    journal.write("one", at=ago(300))
    journal.tell("!stuck")
    async with sources.reading():
        await until(lambda: sources.messages("sshd") == ["one"])
        await until(lambda: journal.questions() > 1)
        assert said == []
        journal.write("two", at=ago(200))
        await until(lambda: sources.messages("sshd") == ["one", "two"])
        assert levels(said) == ["warning", "info"]
        assert sshd.state().detail == ""
        asked = journal.questions()
        await until(lambda: journal.questions() > asked + 1)
    assert levels(said) == ["warning", "info"]
    (question, *_) = [start for start in journal.starts() if "--follow" not in start]
    assert question[-8:] == [
        "SYSLOG_IDENTIFIER=sshd",
        "SYSLOG_IDENTIFIER=sshd-session",
        "SYSLOG_IDENTIFIER=sshd-auth",
        "_UID=0",
        "+",
        "_SYSTEMD_UNIT=ssh.service",
        "+",
        "_SYSTEMD_UNIT=sshd.service",
    ]


async def test_a_service_with_another_name(
    journal: Journal, sources: Sources, said: list[EventDict]
) -> None:
    """A release of sshd whose messages are not known as such is told once, while that is so."""
    sshd = sources.start("sshd", "sshd")
    journal.write("one", at=ago(300))
    new = {"SYSLOG_IDENTIFIER": "sshd-new", "_SYSTEMD_UNIT": "sshd.service"}
    journal.write("two", at=ago(200), **new)
    async with sources.reading():
        await until(lambda: "sshd.service" in sshd.state().detail)
        asked = journal.questions()
        await until(lambda: journal.questions() > asked + 2)
        assert levels(said) == ["warning"]
        journal.write("three", at=ago(100))
        await until(lambda: sources.messages("sshd") == ["one", "three"])
        await until(lambda: sshd.state().detail == "")
    assert levels(said) == ["warning", "info"]


@pytest.mark.parametrize(
    "told",
    [
        {"SYSLOG_IDENTIFIER": "postfix/smtpd", "_SYSTEMD_UNIT": "postfix.service"},
        {"_UID": "1000"},
        {"_UID": "1000", "_SYSTEMD_UNIT": "sshd.service"},
        {"SYSLOG_IDENTIFIER": "audit", "_SYSTEMD_UNIT": "sshd.service", "_TRANSPORT": "audit"},
    ],
)
async def test_what_others_write(
    journal: Journal, sources: Sources, said: list[EventDict], told: dict[str, str]
) -> None:
    """Records of other services, of users and of the kernel say nothing about a quiet service."""
    sources.start("sshd", "sshd")
    journal.write("one", at=ago(300))
    journal.write("of another", at=ago(200), **told)
    async with sources.reading():
        await until(lambda: journal.questions() > 2)
    assert said == []
    assert sources.messages("sshd") == ["one"]


async def test_a_clock_that_was_set_back(
    journal: Journal, sources: Sources, said: list[EventDict]
) -> None:
    """Records that were read before the clock was set back are not missed, new as they look."""
    sources.start("sshd", "sshd")
    journal.write("one", at=ago(200))
    journal.write("two", at=ago(300))
    async with sources.reading():
        await until(lambda: journal.questions() > 2)
    assert said == []
    assert sources.messages("sshd") == ["one", "two"]


async def test_a_record_on_its_way(
    journal: Journal, sources: Sources, said: list[EventDict]
) -> None:
    """What was written less than a minute ago is not missed yet."""
    sources.start("sshd", "sshd")
    journal.write("one", at=ago(300))
    journal.tell("!stuck")
    journal.write("two", at=ago(0))
    async with sources.reading():
        await until(lambda: journal.questions() > 2)
    assert said == []


async def test_nobody_asks_without_a_line_before(journal: Journal, sources: Sources) -> None:
    """A source that never had a line, unlike its neighbour, has nothing to ask for."""
    sources.start("mail", "postfix")
    sources.start("sshd", "sshd")
    journal.write("one", at=ago(300))
    async with sources.reading():
        await until(lambda: journal.questions() > 3)
    questions = [start for start in journal.starts() if "--follow" not in start]
    assert not any("_SYSTEMD_UNIT=postfix.service" in question for question in questions)
