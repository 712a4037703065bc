"""Several journal sources over one journalctl: each has every line of its own, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailbanned.clock import SystemClock
from mailbanned.sources import Journalctl
from mailbanned.sources.journal.entry import JournalCursor
from tests.sources.journals import Journal, Sources
from tests.waiting import until

SSHD, POSTFIX = "journal sshd.service", "journal postfix.service"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def sources(journal: Journal) -> Sources:
    return Sources(journal.command)


def has(sources: Sources, name: str, *messages: str) -> Callable[[], bool]:
    """A condition: a source has emitted as many messages; that they are these is asserted."""

    def met() -> bool:
        return len(sources.messages(name)) >= len(messages) and (
            sources.messages(name) == list(messages) or pytest.fail(f"{sources.messages(name)}")
        )

    return met


async def test_each_gets_its_own(journal: Journal, sources: Sources) -> None:
    """One journalctl reads for all; a record that concerns several sources goes to each."""
    sources.start("sshd", "sshd")
    sources.start("mail", "postfix", "dovecot")
    sources.start("all", "sshd", "postfix", "SYSLOG_IDENTIFIER=postfix/smtpd")
    async with sources.reading():
        journal.write("one")
        journal.postfix("two")
        journal.write("three")
        await until(has(sources, "all", "one", "two", "three"))
        await until(has(sources, "sshd", "one", "three"))
        await until(has(sources, "mail", "two"))
        assert len(journal.starts()) == 1
    assert journal.starts()[0][-7:] == [
        "_UID=0",
        "+",
        "_SYSTEMD_UNIT=postfix.service",
        "+",
        "_SYSTEMD_UNIT=dovecot.service",
        "+",
        "SYSLOG_IDENTIFIER=postfix/smtpd",
    ]


async def test_each_resumes_at_its_own_place(journal: Journal, sources: Sources) -> None:
    """Reading begins at the oldest mark; what a source has had already is passed over."""
    for number in range(1, 9):
        journal.write(f"ssh {number}", at=1_777_000_000)
        journal.postfix(f"mail {number}", at=1_777_000_000)
    sources.start("sshd", "sshd", marks={SSHD: "@1777000000000000 s=abc;i=5"})
    sources.start("mail", "postfix", marks={POSTFIX: "@1777000000000000 s=abc;i=c"})
    async with sources.reading():
        await until(has(sources, "sshd", *(f"ssh {n}" for n in range(4, 9))))
        await until(has(sources, "mail", "mail 7", "mail 8"))
    assert "--cursor=s=abc;i=5" in journal.starts()[0]


@pytest.mark.parametrize("first", [4, 8, 13])
async def test_deleted_records_change_nothing_for_the_others(
    journal: Journal, sources: Sources, first: int
) -> None:
    """Where a mark's record is deleted, everything after it that is left comes once."""
    for number in range(1, 16):
        (journal.write if number % 2 else journal.postfix)(str(number), at=1_777_000_000)
    journal.vacuum(first)
    sources.start("sshd", "sshd", marks={SSHD: "@1777000000000000 s=abc;i=3"})
    sources.start("mail", "postfix", marks={POSTFIX: "@1777000000000000 s=abc;i=8"})
    async with sources.reading():
        await until(has(sources, "sshd", *(str(n) for n in range(5, 16, 2) if n >= first)))
        await until(has(sources, "mail", *(str(n) for n in range(10, 16, 2) if n >= first)))


async def test_a_new_entry_of_a_source_begins_further_back(
    journal: Journal, sources: Sources
) -> None:
    """Each entry of a source has its own mark: one that is new reads from `since` on."""
    for number in range(1, 7):
        (journal.write if number % 2 else journal.postfix)(str(number), at=1_777_000_000 + number)
    sources.since = 1_777_000_003.5
    sources.start("both", "sshd", "postfix", marks={SSHD: "@1777000005000000 s=abc;i=5"})
    async with sources.reading():
        await until(has(sources, "both", "4", "6"))
        journal.write("7")
        await until(has(sources, "both", "4", "6", "7"))
    assert {key: mark.split()[1] for key, mark in sources.marks("both").items()} == {
        SSHD: "s=abc;i=7",
        POSTFIX: "s=abc;i=7",
    }


async def test_sources_come_and_go_while_others_read(journal: Journal, sources: Sources) -> None:
    """A source that is added or removed, in the middle of a flood, costs nobody a line."""
    wanted: dict[str, list[str]] = {"sshd": [], "mail": []}
    sources.start("sshd", "sshd")
    async with sources.reading():
        for turn in range(6):
            for number in range(turn * 500, turn * 500 + 500):
                journal.write(f"ssh {number}")
                journal.postfix(f"mail {number}")
                wanted["sshd"].append(f"ssh {number}")
                wanted["mail"].append(f"mail {number}")
            if turn % 2:
                await sources.stop("mail")
            else:
                sources.start("mail", "postfix")
                seen = len(sources.messages("mail"))
                await until(lambda seen=seen: len(sources.messages("mail")) > seen)  # type: ignore[misc]
        sources.start("mail", "postfix")
        await until(lambda: len(sources.messages("mail")) >= 3000)
        await until(lambda: len(sources.messages("sshd")) >= 3000)
    assert sources.messages("sshd") == wanted["sshd"]
    assert sources.messages("mail") == wanted["mail"]


async def test_the_last_one_goes_while_reading_begins(journal: Journal) -> None:
    """A source that goes just before journalctl is started for it does no harm."""
    journalctl = Journalctl(SystemClock(), journal.command, None)
    reading = asyncio.create_task(journalctl.run())
    with journalctl.subscribe({"sshd.service": JournalCursor(0)}):
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert journal.starts() == []


async def test_one_that_is_held_up_holds_up_the_others(journal: Journal, sources: Sources) -> None:
    """While one source waits, memory stays bounded; when it goes on, or goes, nothing is lost."""
    for number in range(5000):
        journal.write(f"ssh {number}")
        journal.postfix(f"mail {number}")
    both = sources.start("sshd", "sshd"), sources.start("mail", "postfix")
    sources.gates["mail"].clear()
    async with sources.reading():
        await sources.stuck("mail", ["sshd", "postfix"], 10_000)
        assert [source.state().lines < 2000 for source in both] == [True, True]
        # Its batch has been handed over but not taken: it is not in its marks, so it comes again.
        await sources.stop("mail")
        sources.start("mail", "postfix")
        await until(lambda: len(sources.messages("sshd")) >= 5000)
        await until(lambda: len(sources.messages("mail")) >= 5000)
    assert sources.messages("sshd") == [f"ssh {n}" for n in range(5000)]
    assert sources.messages("mail") == [f"mail {n}" for n in range(5000)]


async def test_the_mark_of_a_quiet_source_moves_on(journal: Journal, sources: Sources) -> None:
    """After many records of others it is known that a quiet source has nothing in them."""
    old = time.time() - 600
    journal.write("ssh", at=old)
    for number in range(3000):
        journal.postfix(str(number), at=old)
    sshd = sources.start("sshd", "sshd")
    sources.start("mail", "postfix")
    async with sources.reading():
        await until(lambda: len(sources.messages("mail")) == 3000)
        await until(lambda: int(sources.marks("sshd")[SSHD].rpartition("=")[2], 16) > 2000)
        assert sources.messages("sshd") == ["ssh"]
        await until(lambda: sshd.state().state == "following")
    assert len(sources.blocks["sshd"]) <= 4
    sources.start("sshd", "sshd")
    sources.start("mail", "postfix")
    async with sources.reading():
        journal.write("ssh again")
        await until(has(sources, "sshd", "ssh", "ssh again"))
    assert len(sources.messages("mail")) == 3000
