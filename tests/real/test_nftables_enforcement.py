"""The enforcer and the daemon over real nftables: whatever others do, the wanted bans are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from mailbanned.address import Subject
from tests.real.enforcing import settles
from tests.real.lab import ATTACKERS4, ZONE, Lab
from tests.real.tables import MISHAPS, TABLE, ends, enforced, held, holds, nft, remove_table, says
from tests.running import Running, ssh, write_config

pytestmark = pytest.mark.real

BANS = [
    *(f"{address}/32" for address in ATTACKERS4[:20]),
    *("2001:db8:0:2::/64", "198.51.100.0/27", "198.51.100.0/24"),
]
NEW = Subject(f"{ATTACKERS4[50]}/32")
PORT = 2601
DAY_S = 86400.0
#: So long after its end the kernel forgets a ban, and a little longer as all is rounded up.
SLACK_S, LATE_S = 300.0, 302.0


@pytest.fixture(autouse=True)
def _no_table_is_left(lab: Lab) -> Iterator[None]:
    yield
    remove_table(lab)


@pytest.mark.parametrize("mishap", MISHAPS, ids=" ".join)
async def test_the_audit_repairs_what_others_did(lab: Lab, mishap: tuple[str, ...]) -> None:
    """Whatever was taken away is back with the next audit, and the enforcer goes on banning."""
    try:
        async with enforced(lab, *BANS, audit=0.2) as enforcer:
            await holds(lab, *BANS)
            await says(enforcer, len(BANS))
            await asyncio.to_thread(nft, lab, *mishap)
            await holds(lab, *BANS)
            await says(enforcer, len(BANS))
            enforcer.want(NEW)
            await holds(lab, *BANS, NEW)
    finally:
        if "ruleset" in mishap:
            lab.stop_firewalld()  # its own table was flushed, too
            lab.start_firewalld()


async def test_elements_are_repaired_one_by_one(lab: Lab) -> None:
    """A ban removed by hand is put again, and one put by hand is removed."""
    async with enforced(lab, *BANS, audit=0.2) as enforcer:
        await says(enforcer, len(BANS))
        change = f"delete element inet mailbanned ipv4_32 {{ {ATTACKERS4[3]} }}"
        await asyncio.to_thread(nft, lab, change)
        change = f"add element inet mailbanned ipv4_32 {{ {ATTACKERS4[50]} }}"
        await asyncio.to_thread(nft, lab, change)
        await holds(lab, *BANS)
        await says(enforcer, len(BANS))


async def test_a_new_ban_notices_that_the_table_is_gone(lab: Lab) -> None:
    """It is put, and all others are put again, without an audit."""
    async with enforced(lab, *BANS) as enforcer:
        await says(enforcer, len(BANS))
        await asyncio.to_thread(nft, lab, "delete", "table", *TABLE)
        enforcer.want(NEW)
        await holds(lab, *BANS, NEW)
        await says(enforcer, len(BANS) + 1)


async def test_a_reload_of_firewalld_takes_nothing(lab: Lab) -> None:
    """firewalld flushes its own table only; nothing has to be put again."""
    async with enforced(lab, *BANS) as enforcer:
        await says(enforcer, len(BANS))
        for change in (("--reload",), ("--complete-reload",)):
            await asyncio.to_thread(lab.firewall_cmd, *change)
            assert held(lab) == set(BANS)
        assert lab.denied(ZONE) == set()


async def test_leftovers_go_and_tables_of_others_stay(lab: Lab) -> None:
    """Bans of an earlier run that have ended are lifted; a table beside ours is let be."""
    foreign = ("inet", "theirs")
    lab.host.exec(
        "nft", "-f", "-",
        stdin="add table inet theirs\nadd set inet theirs ipv4_32 { type ipv4_addr; }\n"
        "add element inet theirs ipv4_32 { 203.0.113.9 }\n",
    )  # fmt: skip
    before = nft(lab, "list", "table", *foreign)
    try:
        async with enforced(lab, *BANS[:5], *BANS[-2:]):
            await holds(lab, *BANS[:5], *BANS[-2:])
        assert held(lab) == {*BANS[:5], *BANS[-2:]}
        async with enforced(lab, *BANS[3:7], BANS[-1]) as enforcer:
            await holds(lab, *BANS[3:7], BANS[-1])
            await says(enforcer, 5)
        await enforcer.flush()
        assert held(lab) == set()
        assert nft(lab, "list", "table", *foreign) == before
    finally:
        nft(lab, "delete", "table", *foreign)


async def test_many_bans_are_restored_and_flushed(lab: Lab) -> None:
    """Some thousand bans are put in batches, a new one among them, and taken away again."""
    many = [f"203.0.{n // 250}.{n % 250 + 1}/32" for n in range(3000)]
    async with enforced(lab, *many) as enforcer:
        enforcer.want(NEW)
        await says(enforcer, 3001)
        assert held(lab) == {*many, NEW}
        for subject in many[:1500]:
            enforcer.unwant(Subject(subject))
        await holds(lab, *many[1500:], NEW)
        await says(enforcer, 1501)
    await enforcer.flush()
    assert held(lab) == set()


def test_the_daemon_bans_through_nftables(lab: Lab, tmp_path: Path) -> None:
    """Chosen by the configuration, shown in the status; bans outlive a restart of the daemon."""
    write_config(tmp_path, backend="nftables")
    for name in ("postfix.log", "dovecot.log", "secure"):
        (tmp_path / name).touch()
    attacker, other = ATTACKERS4[0], ATTACKERS4[1]
    began = time.time()
    with lab.listen(PORT), Running(tmp_path, launch=lab.host.popen) as daemon:
        daemon.append("secure", ssh(attacker))
        daemon.wait(lambda: f"{attacker}/32" in held(lab), "the ban is in the kernel")
        assert lab.drops(attacker, PORT)
        lab.connect(other, PORT).close()
        end = ends(lab)[f"{attacker}/32"]
        assert end is not None
        assert began + 7 * DAY_S + SLACK_S <= end <= time.time() + 7 * DAY_S + LATE_S
        daemon.cli("ban", "203.0.113.0/24", "--for", "permanent")
        daemon.cli("ban", "203.0.113.7", "--jail", "sshd", "--for", "2h")
        daemon.cli("ban", "203.0.113.7", "--jail", "sshd-unknown", "--for", "1h")
        firewall = daemon.status()["firewall"]
        assert (firewall["backend"], firewall["state"], firewall["zone"]) == ("nftables", "up", "")
        daemon.stop()
        bans = {f"{attacker}/32", "203.0.113.7/32", "203.0.113.0/24"}
        assert held(lab) == bans
        remove_table(lab)  # as a reboot does
        restarted = time.time()
        daemon.start()
        daemon.wait(lambda: held(lab) == bans, "all are back")
        found = ends(lab)
        took = time.time() - restarted  # the seconds left were counted at some time in it
        for subject, jail in ((f"{attacker}/32", "sshd-unknown"), ("203.0.113.7/32", "sshd")):
            (until,) = [b["until"] for b in daemon.jail(jail)["bans"] if b["address"] == subject]
            over, end = datetime.fromisoformat(until).timestamp(), found[subject]
            assert end is not None
            assert over + SLACK_S <= end <= over + LATE_S + took
        assert found["203.0.113.0/24"] is None
        daemon.cli("unban", "--all")
        daemon.wait(lambda: held(lab) == set(), "all are lifted")
        lab.connect(attacker, PORT).close()


async def test_a_longer_ban_is_prolonged_in_the_kernel(lab: Lab) -> None:
    """A ban whose end moved does not end in the kernel: the audit gives it more time."""
    async with enforced(lab, NEW, audit=0.2, slack=300.0) as enforcer:
        await says(enforcer, 1)
        text = f"delete element {' '.join(TABLE)} ipv4_32 {{ {ATTACKERS4[50]} }}; "
        text += f"add element {' '.join(TABLE)} ipv4_32 {{ {ATTACKERS4[50]} timeout 100s }}"
        await asyncio.to_thread(nft, lab, text)
        await settles(
            lambda: "expires" not in nft(lab, "list", "set", *TABLE, "ipv4_32"),
            "its new end is never",
        )
        await says(enforcer, 1)
