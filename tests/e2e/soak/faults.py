"""What goes wrong on a mail host, one function each: done, and over when it returns.

The traffic goes on meanwhile, but where it would be written into a file that is being cut off.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from tests.e2e.soak.scene import Scene
from tests.e2e.soak.traffic import Traffic
from tests.real.lab import ZONE
from tests.real.tables import TABLE

Fault = Callable[[Scene, Traffic, random.Random], None]


def reload_firewalld(scene: Scene, _: Traffic, __: random.Random) -> None:
    scene.lab.reload()


def stop_firewalld(scene: Scene, _: Traffic, chance: random.Random) -> None:
    scene.lab.stop_firewalld()
    time.sleep(chance.uniform(0.0, 1.0))
    scene.lab.start_firewalld()


def crash_firewalld(scene: Scene, _: Traffic, chance: random.Random) -> None:
    """firewalld is killed, and started again later."""
    scene.lab.kill_firewalld()
    time.sleep(chance.uniform(0.0, 1.0))
    scene.lab.start_firewalld()
    _empty_tables(scene, chance)


def _empty_tables(scene: Scene, chance: random.Random) -> None:
    """What an administrator has to do after firewalld ended without taking its rules along.

    firewalld 1.3 leaves them in the kernel when it starts again, knows nothing of them, and so
    cannot take them out; only a reload empties its tables.
    """
    time.sleep(chance.uniform(0.0, 1.0))
    scene.lab.reload()


def restart_bus(scene: Scene, _: Traffic, chance: random.Random) -> None:
    """The bus ends, and firewalld with it, at once."""
    scene.lab.stop_bus()
    scene.lab.stop_firewalld()
    scene.lab.start_bus()
    scene.lab.start_firewalld()
    _empty_tables(scene, chance)


def remove_by_hand(scene: Scene, traffic: Traffic, chance: random.Random) -> None:
    """Somebody removes a rule of ours, or all of our table."""
    scene.daemon.await_ban(traffic.marker())
    if scene.backend == "firewalld":
        scene.soon(lambda: "" if scene.lab.rules() else "there is no rule yet")
        rule = chance.choice(sorted(scene.lab.rules()))
        # It may have been a brief ban's.
        scene.lab.firewall_cmd(f"--zone={ZONE}", f"--remove-rich-rule={rule}", check=False)
    else:
        what = chance.choice(["delete table", "flush table", "flush set"])
        names = [*TABLE, "ipv4_32"] if what == "flush set" else TABLE
        scene.lab.host.exec("nft", *what.split(), *names, check=False)


def lose_accounts(scene: Scene, traffic: Traffic, chance: random.Random) -> None:
    """The account database is away for a while."""
    hidden = scene.accounts.with_suffix(".hidden")
    traffic.set_accounts("unsure")
    scene.daemon.await_ban(traffic.marker())
    _await_guesses(scene, traffic)
    scene.accounts.rename(hidden)
    scene.soon(lambda: _accounts(scene, "down"))
    traffic.set_accounts("away")
    time.sleep(chance.uniform(0.3, 1.5))
    traffic.set_accounts("unsure")
    scene.daemon.await_ban(traffic.marker())
    hidden.rename(scene.accounts)
    scene.soon(lambda: _accounts(scene, "up"))
    traffic.set_accounts("up")


def _accounts(scene: Scene, state: str) -> str:
    now = scene.daemon.status()["accounts"]["state"]
    return "" if now == state else f"the account database is {now}, not {state}"


def _await_guesses(scene: Scene, traffic: Traffic) -> None:
    """Waits until everybody who surely guessed an unknown account is banned."""

    def missing() -> str:
        left = {key for key in set(traffic.expected.banned) if key[0] == "strict"}
        left -= scene.daemon.bans()
        return f"not banned: {sorted(left)[:5]}" if left else ""

    scene.soon(missing)


def rename_logs(_: Scene, traffic: Traffic, __: random.Random) -> None:
    traffic.rotate()


def copytruncate_logs(scene: Scene, _: Traffic, __: random.Random) -> None:
    """Nothing is lost: all was read before, and nothing is written in between."""

    def unread() -> str:
        sources = scene.daemon.status().get("sources")
        if not sources:
            return "nobody reads yet"
        left = sum(source["lag_bytes"] for source in sources)
        return f"{left} bytes are unread" if left else ""

    scene.postfix.copytruncate(lambda: scene.soon(unread))
    scene.secure.copytruncate(lambda: scene.soon(unread))


def kill_daemon(scene: Scene, traffic: Traffic, chance: random.Random) -> None:
    """kill -9, and another daemon some time later."""
    _gap(scene, traffic, chance, signal.SIGKILL)


def restart_daemon(scene: Scene, traffic: Traffic, chance: random.Random) -> None:
    """As `systemctl restart` does."""
    _gap(scene, traffic, chance, signal.SIGTERM)


def _gap(scene: Scene, traffic: Traffic, chance: random.Random, number: int) -> None:
    """No daemon for a moment."""
    saved, ended = scene.daemon.saved_bans(), scene.daemon.ended("brief")
    status = scene.daemon.stop(number)
    assert status == (-number if number == signal.SIGKILL else 0), f"it ended with {status}"
    time.sleep(chance.uniform(0.0, 1.0))
    scene.daemon.start()
    scene.daemon.following()
    traffic.doubt(saved, ended)


def good_configuration(scene: Scene, _: Traffic, __: random.Random) -> None:
    """SIGHUP with another verdict."""
    scene.verdict = "reject" if scene.verdict == "drop" else "drop"
    _hang_up(scene, good=True)


def bad_configuration(scene: Scene, _: Traffic, chance: random.Random) -> None:
    """SIGHUP with a file that cannot be used; nothing changes."""
    bad = ["[jails.harvest]\n", "[sources.x]\npath = 5\n", "\0", "[jails.x]\nsource = 'y'\n"]
    _hang_up(scene, good=False, more=chance.choice(bad))
    scene.write_config()


def exchange_backend(scene: Scene, _: Traffic, __: random.Random) -> None:
    """SIGHUP with the other firewall; nobody is left behind in the one before."""
    scene.backend = "nftables" if scene.backend == "firewalld" else "firewalld"
    _hang_up(scene, good=True)


def _hang_up(scene: Scene, good: bool, more: str = "") -> None:
    before = scene.daemon.status()["config"]["last_reload"]["at"]
    scene.write_config(more)
    scene.daemon.process.send_signal(signal.SIGHUP)

    def outcome() -> str:
        last = scene.daemon.status()["config"]["last_reload"]
        return "" if last["at"] != before else "it has not read its configuration again"

    scene.soon(outcome)
    last = scene.daemon.status()["config"]["last_reload"]
    assert last["ok"] is good, last


FAULTS: dict[str, Fault] = {
    "reload": reload_firewalld,
    "stop": stop_firewalld,
    "crash": crash_firewalld,
    "bus": restart_bus,
    "by-hand": remove_by_hand,
    "accounts": lose_accounts,
    "rename": rename_logs,
    "copytruncate": copytruncate_logs,
    "kill": kill_daemon,
    "restart": restart_daemon,
    "good-config": good_configuration,
    "bad-config": bad_configuration,
}
