"""`./dev run [--exit]`: the real daemon at its main job, under the attacks that it is made for.

As root it works on a real firewalld, in a network namespace of its own; otherwise it runs dry.
Everything made for the show is removed at the end, also after Ctrl-C.

Known limit: killed with SIGKILL, it leaves its folder, namespaces and processes behind.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from tests.demo.attacks import Attack, attacks
from tests.demo.mailhost import DaemonGone, MailHost
from tests.demo.verdict import banned, differences, in_force
from tests.real.lab import ZONE, Lab, missing

_PACE = 0.05  # seconds between two lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev run", description="Shows mailbanned at work.")
    parser.add_argument("--exit", action="store_true", help="end after the show: 0 if all is right")
    parser.add_argument("--dry-run", action="store_true", help="without a firewall, even as root")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with ExitStack() as undo:
        try:
            return _run(undo, options)
        except DaemonGone as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130 if options.exit else 0
        finally:
            # However impatient somebody is now, what was made is removed.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _run(undo: ExitStack, options: argparse.Namespace) -> int:
    with _undisturbed():
        lab, why = (None, "--dry-run was given") if options.dry_run else _laboratory(undo)
        if lab is None:
            _say(f"firewall: dry-run, because {why}; bans are decided, and nothing is dropped")
        else:
            _say("firewall: a real firewalld in its own network namespace, because we are root")
        host = undo.enter_context(MailHost(lab))
    show = attacks()
    for attack in show:
        _play(host, attack)
    good = _report(host, lab, show)
    if options.exit:
        return 0 if good else 1
    _invite(host)
    raise DaemonGone(f"the daemon has ended with status {host.daemon.wait()}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C waits until the block ends, and never reaches the programs that are started in it.

    They belong to the same terminal; each is ended in its turn instead.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _laboratory(undo: ExitStack) -> tuple[Lab | None, str]:
    """A lab, or why there is none."""
    if reason := missing():
        return None, reason
    try:
        return undo.enter_context(Lab()), ""
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return None, f"there can be no network lab here ({str(error).splitlines()[0]})"


def _play(host: MailHost, attack: Attack) -> None:
    """Writes an attack's lines and waits for what must follow from them."""
    before = host.status()
    _say(attack.title)
    host.write(attack.entries, _PACE)
    host.wait_for(lambda now: host.has_read_all(now) and attack.bans <= in_force(now))
    counted = _failures(host.status()) - _failures(before)
    tally = ", ".join(f"{jail} +{count}" for jail, count in counted.items())
    print(f"    failures counted: {tally or 'none'}", flush=True)


def _failures(status: dict[str, Any]) -> Counter[str]:
    return Counter({jail["name"]: jail["failures_total"] for jail in status["jails"]})


def _report(host: MailHost, lab: Lab | None, show: list[Attack]) -> bool:
    """Shows the status and the rules; returns whether they are what they must be."""
    _say("mailbanned status")
    subprocess.run(host.command("status"), check=False)
    if lab is not None:
        _say("the rules really in force (nft, in the kernel)")
        chain = f"filter_IN_{ZONE}_deny"
        print(lab.host.exec("nft", "list", "chain", "inet", "firewalld", chain), flush=True)
    expected = {ban for attack in show for ban in attack.bans}
    found = differences(expected, banned(host.status()), None if lab is None else lab.denied())
    count = len({subject for _, subject in expected})
    if not found:
        _say(f"all {count} expected addresses are banned, and nobody else")
    else:
        _say("this is not as it must be:")
        print("".join(f"    {sentence}\n" for sentence in found), flush=True)
    return not found


def _invite(host: MailHost) -> None:
    _say("it goes on following until Ctrl-C; append lines to these logs:")
    for log in host.logs:
        print(f"    {log}")
    print("and ask it, from another terminal:")
    print(f"    {' '.join(host.command('status'))}", flush=True)


def _say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}=== {text}{plain}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
