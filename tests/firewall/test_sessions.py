"""Sessions: the one `ss` call it makes, and what it says when that does not work."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailbanned.address import Subject
from mailbanned.firewall import Sessions
from tests.firewall.support import subjects
from tests.waiting import HANG_S, started_in_time, until

KILL = ["-HtnK", "state", "connected", "exclude", "time-wait"]
LIST = ["-Htn", "state", "connected", "exclude", "time-wait"]
ENDED = "ESTAB 0 0 198.51.100.1:25 203.0.113.7:40000"
HOST = Subject("203.0.113.7/32")


class FakeSS:
    """A stand-in for `ss` that notes its arguments.

    killing, listing: what it prints when asked to end connections, or to list them.
    errors: what it prints on its error output; status: its exit status; hangs: it never ends.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "ss"
        self.behave()

    def behave(
        self,
        killing: str = "",
        listing: str = "",
        errors: str = "",
        status: int = 0,
        hangs: bool = False,
    ) -> None:
        self.path.write_text(
            f"#!{sys.executable} -IS\n"
            "import json, os, sys, time\n"
            f"with open({str(self.directory / 'calls')!r}, 'a') as calls:\n"
            "    print(json.dumps([str(os.getpid()), *sys.argv[1:]]), file=calls)\n"
            f"while {hangs} and os.getppid() != 1: time.sleep(0.01)\n"
            f"print({killing!r} if 'K' in sys.argv[1] else {listing!r})\n"
            f"print({errors!r}, file=sys.stderr)\n"
            f"sys.exit({status})\n"
        )
        self.path.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        return [call[1:] for call in self._notes()]

    def still_running(self) -> list[str]:
        """The calls that have not ended, or that nobody waited for."""
        return [call[0] for call in self._notes() if Path("/proc", call[0]).exists()]

    def _notes(self) -> list[list[str]]:
        notes = self.directory / "calls"
        return (
            [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        )


@pytest.fixture
def ss(tmp_path: Path) -> FakeSS:
    return FakeSS(tmp_path)


async def test_cuts_many_subjects_in_one_call(ss: FakeSS) -> None:
    """Hosts and prefixes of both families stand in one filter, as separate arguments."""
    ss.behave(killing=ENDED)
    sessions = Sessions(str(ss.path), timeout=HANG_S)
    await sessions.cut([HOST, Subject("2001:db8:0:1::/64"), Subject("2001:db8::9/128")])
    filter_ = "( dst 203.0.113.7/32 or dst [2001:db8:0:1::/64] or dst [2001:db8::9/128] )"
    assert ss.calls() == [[*KILL, filter_]]
    assert sessions.state() == "ready"


async def test_a_wave_is_cut_in_few_calls(ss: FakeSS) -> None:
    """The filter stays within what the kernel takes, and no subject is forgotten."""
    ss.behave(killing=ENDED)
    wave = subjects(1001)
    await Sessions(str(ss.path), timeout=HANG_S).cut(wave)
    calls = ss.calls()
    assert len(calls) == 3
    assert [word for call in calls for word in call[-1].split() if "/" in word] == wave


@pytest.mark.parametrize("subjects", [[], ["127.0.0.1/32", "::/0", "0.0.0.0/0", "junk", ""]])
async def test_nothing_is_cut_without_a_proper_subject(ss: FakeSS, subjects: list[Subject]) -> None:
    """Nobody means no call: an empty or boundless filter would end every connection there is."""
    await Sessions(str(ss.path), timeout=HANG_S).cut(subjects)
    assert ss.calls() == []


async def test_nothing_to_cut_is_success(ss: FakeSS) -> None:
    """A subject without connections leaves the state as it was."""
    sessions = Sessions(str(ss.path), timeout=HANG_S)
    with capture_logs() as logs:
        await sessions.cut([HOST])
    assert ss.calls() == [[*KILL, "( dst 203.0.113.7/32 )"], [*LIST, "( dst 203.0.113.7/32 )"]]
    assert (sessions.state(), logs) == ("ready", [])


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (
            {"errors": "SOCK_DESTROY answers: Operation not permitted"},
            "it needs the capability CAP_NET_ADMIN",
        ),
        (
            {"errors": "Cannot parse dst/src address.\nmore"},
            "ss says: Cannot parse dst/src address.",
        ),
        ({"status": 3}, "ss says: exit status 3"),
        ({"listing": ENDED}, "the kernel is built without INET_DIAG_DESTROY"),
    ],
)
async def test_a_problem_is_logged_once(
    ss: FakeSS, behaviour: dict[str, str], problem: str
) -> None:
    """A missing capability or kernel option is logged once, as is its end, and is the state."""
    sessions = Sessions(str(ss.path), timeout=HANG_S)
    with capture_logs() as logs:
        ss.behave(**behaviour)  # type: ignore[arg-type]
        await sessions.cut([HOST])
        await sessions.cut([HOST])
        assert sessions.state() == f"unable: {problem}"
        ss.behave()
        await sessions.cut([HOST])
        assert sessions.state() == f"unable: {problem}"
        ss.behave(killing=ENDED)
        await sessions.cut([HOST])
        assert sessions.state() == "ready"
    assert [log["event"] for log in logs] == [
        f"cannot cut connections of banned addresses: {problem}",
        "connections of banned addresses are cut again",
    ]


async def test_after_a_first_cut_the_kernel_is_trusted(ss: FakeSS) -> None:
    """Once a connection was ended, no second call asks whether any is left."""
    sessions = Sessions(str(ss.path), timeout=HANG_S)
    ss.behave(killing=ENDED)
    await sessions.cut([HOST])
    ss.behave(listing=ENDED)
    await sessions.cut([HOST])
    assert len(ss.calls()) == 2
    assert sessions.state() == "ready"


async def test_a_missing_program_is_said_and_harms_nothing(tmp_path: Path) -> None:
    """Without `ss` bans work all the same; people are told which package is missing."""
    sessions = Sessions(str(tmp_path / "absent"))
    with capture_logs() as logs:
        await sessions.cut([HOST])
        await sessions.cut([HOST])
    assert "package iproute" in sessions.state()
    assert sessions.state().endswith("No such file or directory")
    assert len(logs) == 1


async def test_a_hanging_program_is_ended(ss: FakeSS) -> None:
    """A call that takes too long is killed and waited for, and said."""
    ss.behave(hangs=True)
    for timeout in started_in_time(ss.calls):
        sessions = Sessions(str(ss.path), timeout=timeout)
        await sessions.cut([HOST])
        assert sessions.state().endswith(f"did not end in {timeout:g} s")
    assert not ss.still_running()


async def test_cancelling_ends_the_program(ss: FakeSS) -> None:
    """A stopping daemon leaves no child behind."""
    ss.behave(hangs=True)
    task = asyncio.create_task(Sessions(str(ss.path), timeout=HANG_S).cut([HOST]))
    await until(ss.calls, "the program has started")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not ss.still_running()
