"""Bad input: missing and strange logs, hostile lines, bad configurations at the start."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.command import program
from tests.running import Running, sasl, ssh, write_config
from tests.strangers import open_folder, own
from tests.waiting import HANG_S

A, B = "203.0.113.5", "203.0.113.6"


def test_a_missing_log_is_waited_for(folder: Path) -> None:
    """The daemon starts, says which log is missing, and follows it as soon as it appears."""
    (folder / "secure").unlink()
    with Running(folder) as daemon:
        daemon.wait(lambda: daemon.source("sshd").get("detail"), "it has looked for its logs")
        source = daemon.source("sshd")
        assert source["state"] == "waiting"
        assert f"{folder}/secure" in source["detail"]
        daemon.append("secure", ssh(A))
        daemon.wait_banned("sshd-unknown", f"{A}/32")


def test_a_directory_in_place_of_a_log_stops_nothing(folder: Path) -> None:
    """It is said once, other sources work, and a file in its place is followed later."""
    (folder / "secure").unlink()
    (folder / "secure").mkdir()
    with Running(folder) as daemon:
        daemon.append("postfix.log", *(sasl(B, "info") for _ in range(3)))
        daemon.wait_banned("postfix-sasl", f"{B}/32")
        assert sum(f"{folder}/secure" in line for line in daemon.log().splitlines()) == 1
        (folder / "secure").rmdir()
        daemon.append("secure", ssh(A))
        daemon.wait_banned("sshd-unknown", f"{A}/32")


@pytest.mark.parametrize(
    "hostile",
    [
        b"x" * 1_000_000,
        b"Invalid user " * 80_000,
        b"\0" * 5000,
        b"\xff\xfe\xfa Invalid user \xc3\x28 from nowhere",
        b"May  1 06:43:08 mx sshd[1]: Invalid user " + b"\xf0\x28\x8c" * 20 + b" from 1.2.3.4.5",
        b"Feb 30 99:99:99 mx sshd[1]: Invalid user a from 198.51.100.7 port x",
        b"\x1b[2J\x1b]0;owned\x07",
        b"",
    ],
    ids=["1MB", "1MB of literals", "NUL", "no UTF-8", "bad name", "bad stamp", "terminal", "empty"],
)
def test_a_hostile_line_neither_stops_nor_misleads(daemon: Running, hostile: bytes) -> None:
    """After it the next attacker is banned as ever, and nobody else is."""
    daemon.append("secure", hostile, ssh(A))
    daemon.append("postfix.log", hostile)
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    assert daemon.banned() == {"sshd-unknown": {f"{A}/32"}}
    assert "Traceback" not in daemon.log()


def test_half_a_line_waits_for_its_end(daemon: Running) -> None:
    """A line without its line feed is not judged before it is whole."""
    whole = ssh("203.0.113.55").encode()
    cut = whole.index(b"203.0.113.5") + len(b"203.0.113.5")
    with (daemon.folder / "secure").open("ab", buffering=0) as log:
        log.write(whole[:cut])
        daemon.append("postfix.log", *(sasl(B, "info") for _ in range(3)))
        daemon.wait_banned("postfix-sasl", f"{B}/32")
        log.write(whole[cut:] + b"\n")
    daemon.wait_banned("sshd-unknown", "203.0.113.55/32")
    assert "203.0.113.5/32" not in daemon.banned()["sshd-unknown"]


def test_a_name_cannot_forge_lines_in_our_own_log(daemon: Running) -> None:
    """Control characters of a user name arrive in our log and on a terminal as escapes."""
    daemon.append("secure", ssh(A, "x\x1b[31m\r[sshd] Ban 198.51.100.7"))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: "Ban" in daemon.log(), "the ban is logged")
    assert "\x1b" not in daemon.log()
    assert "\r" not in daemon.log()


def test_a_bad_configuration_ends_the_start_with_78(tmp_path: Path) -> None:
    """All errors are told at once, each with file, key and remedy."""
    path = write_config(tmp_path, more="[jails.x]\nmaxretry = 0\nbantim = 1\n[fire]\n")
    result = program("-c", str(path), "run")
    assert result.returncode == 78
    for part in ("jails.x.maxretry", "jails.x.bantim", "did you mean 'bantime'", "fire:",
                 "jails.x.source: is missing"):  # fmt: skip
        assert part in result.stderr
    assert result.stderr.count(str(path)) >= 4


def test_no_configuration_at_all_is_a_sentence(tmp_path: Path) -> None:
    """A path that does not exist ends with 78 and says so."""
    result = program("-c", str(tmp_path / "none.toml"), "run")
    assert result.returncode == 78
    assert "none.toml: file: does not exist" in result.stderr


def test_a_socket_that_is_no_socket_is_left_alone(folder: Path) -> None:
    """A file in the place of the control socket is not deleted; the start fails with a sentence."""
    (folder / "control.sock").write_text("precious")
    result = program("-c", str(folder / "mailbanned.toml"), "run")
    assert result.returncode == 1
    assert "control.sock: cannot listen here" in result.stderr
    assert (folder / "control.sock").read_text() == "precious"


def test_systemd_hears_of_start_reload_watchdog_and_stop(folder: Path) -> None:
    """READY, RELOADING with its time, WATCHDOG and STOPPING arrive at the notify socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(HANG_S)
        env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}
        heard: list[str] = []

        def hear(message: str) -> None:
            while message not in "\n".join(heard):
                heard.append(manager.recv(4096).decode())

        with Running(folder, env=env) as daemon:
            hear("READY=1")
            hear("WATCHDOG=1")
            assert daemon.cli("reload").returncode == 0
            hear("RELOADING=1\nMONOTONIC_USEC=")
            heard.clear()
            hear("READY=1")
            daemon.stop()
            hear("STOPPING=1")


def test_a_deaf_service_manager_stops_nothing(folder: Path) -> None:
    """If nobody reads the notify socket, the daemon still bans, and ends when told to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        for _ in range(1000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
                filler.setblocking(False)
                filler.connect(str(folder / "notify"))
                try:
                    filler.send(b"x")
                except BlockingIOError:
                    break
        with Running(folder, env={"NOTIFY_SOCKET": str(folder / "notify")}) as daemon:
            daemon.append("secure", ssh(A))
            daemon.wait_banned("sshd-unknown", f"{A}/32")
            assert daemon.stop() == 0


def test_an_unreadable_log_is_said_and_others_go_on() -> None:
    """As a user who may not read one log, the daemon says so and guards with the others."""
    with open_folder() as folder:
        write_config(folder)
        (folder / "postfix.log").touch()
        (folder / "secure").touch(mode=0)
        ordinary = own(folder, *folder.iterdir())

        def launch(*argv: str, **options: Any) -> subprocess.Popen[str]:
            return subprocess.Popen([*ordinary, *argv], text=True, **options)

        with Running(folder, launch=launch) as daemon:
            daemon.wait(lambda: daemon.source("sshd").get("detail"), "it has looked for its logs")
            assert daemon.source("sshd")["state"] == "unreadable"
            assert f"{folder}/secure" in daemon.source("sshd")["detail"]
            daemon.append("postfix.log", *(sasl(B, "info") for _ in range(3)))
            daemon.wait_banned("postfix-sasl", f"{B}/32")


def test_counts_that_cannot_be_read_end_the_start(tmp_path: Path) -> None:
    """A state file with damaged counts is refused with its path; nobody starts from nothing."""
    config = write_config(tmp_path)
    with Running(tmp_path) as daemon:
        daemon.following()
    with closing(sqlite3.connect(tmp_path / "state.db")) as state:
        damaged = "INSERT INTO windows VALUES ('sshd', '192.0.2.1/32', ?, '[1,')"
        state.execute(damaged, (time.time(),))
        state.commit()
    result = program("-c", str(config), "run")
    assert result.returncode == 1
    assert f"{tmp_path}/state.db: cannot be used as state file (" in result.stderr
