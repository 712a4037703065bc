"""The command line: exit codes, JSON, plain text in pipes, bans by hand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailbanned
from tests.command import MAILBANNED, cli, program
from tests.running import Running, ssh, write_config
from tests.waiting import HANG_S

A = "203.0.113.5"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    write_config(tmp_path)
    (tmp_path / "secure").touch()
    with Running(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A daemon for commands that change nothing."""
    folder = tmp_path_factory.mktemp("untouched")
    write_config(folder)
    with Running(folder) as running:
        yield running


def test_version_and_help() -> None:
    """--version prints the version, --help lists all commands; an unknown one is a usage error."""
    assert mailbanned.__version__ in program("--version").stdout
    text = program("--help").stdout
    for name in ("run", "status", "why", "ban", "unban", "reload", "check", "test"):
        assert f"\n  {name} " in text
    assert program("frobnicate").returncode == 2
    assert program().returncode == 2


@pytest.mark.parametrize("command", [["status"], ["why", A], ["ban", A], ["unban", A], ["reload"]])
def test_without_a_daemon_the_exit_status_is_69(tmp_path: Path, command: list[str]) -> None:
    """One sentence names the socket and what to look at."""
    path = write_config(tmp_path)
    result = cli("-c", str(path), *command)
    assert result.returncode == 69
    assert f"{tmp_path}/control.sock" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_configuration_may_come_from_the_environment(daemon: Running) -> None:
    """$MAILBANNED_CONFIG is used in place of -c."""
    env = {**os.environ, "MAILBANNED_CONFIG": str(daemon.config)}
    result = subprocess.run(
        [MAILBANNED, "status", "--json"], env=env, capture_output=True, check=True, timeout=HANG_S
    )
    assert json.loads(result.stdout)["pid"] == daemon.process.pid


def test_status_works_while_the_file_is_broken(daemon: Running) -> None:
    """A syntax error in the configuration does not hide the daemon that runs with the old one."""
    with daemon.config.open("a") as file:
        file.write("[[[")
    # Files in conf.d that can be read still name the socket.
    folder = daemon.folder / "conf.d"
    folder.mkdir()
    (folder / "socket.toml").write_text(f'[control]\nsocket = "{daemon.folder}/control.sock"\n')
    assert daemon.status()["pid"] == daemon.process.pid


def test_ban_and_unban_by_hand(daemon: Running) -> None:
    """A ban has its duration and reason, is in force when the command returns, and is lifted."""
    result = daemon.cli(
        "ban", A, "--for", "1d12h", "--reason", "too many\x1b[31m letters", "--json"
    )
    assert result.returncode == 0, result.stderr
    (ban,) = json.loads(result.stdout)["banned"]
    assert (ban["address"], ban["jail"], ban["in_force"]) == (f"{A}/32", "manual", True)
    assert daemon.status()["firewall"]["bans_in_force"] == 1
    manual = daemon.jail("manual")
    assert manual["bans"][0]["reason"].startswith("too many")
    assert (manual["banned_now"], manual["banned_total"]) == (1, 1)
    assert "\x1b" not in daemon.log()
    result = daemon.cli("unban", A)
    assert result.stdout == f"[manual] Unban {A}/32\n"
    assert daemon.banned() == {}
    daemon.wait(lambda: daemon.status()["firewall"]["bans_in_force"] == 0, "the rule is gone")


def test_a_ban_in_a_jail_takes_its_bantime(daemon: Running) -> None:
    """--jail enters the ban there; --for permanent has no end."""
    daemon.cli("ban", A, "--jail", "sshd-unknown")
    daemon.cli("ban", "203.0.113.6", "--for", "permanent")
    assert daemon.jail("sshd-unknown")["bans"][0]["until"] is not None
    assert daemon.jail("manual")["bans"][0]["until"] is None


def test_networks_and_ipv6_are_banned_whole(daemon: Running) -> None:
    """A network is one ban; a single IPv6 address is its /64; mapped ones are IPv4."""
    daemon.cli("ban", "198.51.100.77/24", "2001:db8::5", "::ffff:203.0.113.9")
    assert daemon.banned() == {"manual": {"198.51.100.0/24", "2001:db8::/64", "203.0.113.9/32"}}
    assert daemon.cli("unban", "2001:db8::99").stdout == "[manual] Unban 2001:db8::/64\n"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1", "is on the ignore list (127.0.0.0/8)"),
        ("0.1.2.3", "is on the ignore list (0.0.0.0/8) and is never banned\n"),
        ("::1", "is never banned"),
        ("127.0.0.0/9", "is on the ignore list"),
        ("0.0.0.0/0", "too wide"),
        ("mail.example.org", "is no address"),
        ("203.0.113.5; rm", "is no address"),
    ],
)
def test_what_must_not_be_banned_is_refused(
    untouched: Running, address: str, sentence: str
) -> None:
    """Ignored addresses, too wide networks and names end with 1, and no address is banned."""
    result = untouched.cli("ban", A, address)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert untouched.banned() == {}


def test_unban_forgets_the_counts(daemon: Running) -> None:
    """After an unban an address starts from zero, also if it was not banned."""
    password = "May  1 06:43:08 mx sshd[1]: Failed password for root from 203.0.113.5 port 1 ssh2"
    daemon.following()  # what is caught up counts at its stamp, which is long ago
    daemon.append("secure", password, password)
    daemon.wait(lambda: daemon.jail("sshd")["failures_now"] == 2, "both are counted")
    assert daemon.cli("unban", A).returncode == 0
    assert daemon.jail("sshd")["failures_now"] == 0


def test_unban_all_and_its_usage(daemon: Running) -> None:
    """--all lifts every ban; neither addresses nor --all is a usage error."""
    daemon.append("secure", ssh(A), ssh("203.0.113.6"))
    daemon.wait_banned("sshd-unknown", "203.0.113.6/32")
    assert len(json.loads(daemon.cli("unban", "--all", "--json").stdout)["unbanned"]) == 2
    assert daemon.banned() == {}
    assert daemon.cli("unban").returncode == 2


def test_plain_status_has_the_labels_that_scripts_look_for(daemon: Running) -> None:
    """In a pipe, the overview and a jail carry fail2ban's labels."""
    daemon.append("secure", ssh(A))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    text = daemon.cli("status").stdout
    assert "- Number of jail:\t5" in text
    assert "`- Jail list:\tpostfix-sasl, postfix-sasl-unknown" in text
    text = daemon.cli("status", "sshd-unknown").stdout
    for label in ("Currently failed:\t0", "Total failed:\t1", "Currently banned:\t1",
                  f"Banned IP list:\t{A}\n", f"File list:\t{daemon.folder}/secure"):  # fmt: skip
        assert label in text
    assert daemon.cli("status", "nope").returncode == 1


def test_status_on_a_terminal_is_a_table(daemon: Running) -> None:
    """It shows jails, the banned address and what is wrong."""
    daemon.append("secure", ssh(A, "x\x1b[2J"))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: daemon.source("postfix").get("detail"), "the other log is looked for")
    result = subprocess.run(
        ["script", "-qec", f"{MAILBANNED} -c {daemon.config} status", "/dev/null"],
        capture_output=True, text=True, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL, check=True, timeout=HANG_S,
    )  # fmt: skip
    assert A in result.stdout
    assert "sshd-unknown" in result.stdout
    assert "postfix is waiting" in result.stdout
    assert "\x1b[2J" not in result.stdout


def test_check_prints_jails_or_errors(tmp_path: Path) -> None:
    """A valid configuration ends with 0 and its jails, an invalid one with 78 and all errors."""
    path = write_config(tmp_path)
    result = cli("-c", str(path), "check")
    assert result.returncode == 0
    assert "sshd-unknown: 1 in 1h of sshd" in result.stdout
    assert "cannot recognise unknown accounts" in result.stderr
    path.write_text(path.read_text() + "[defaults]\nfindtime = 'soon'\nmaxretry = 'x'\n")
    result = program("-c", str(path), "check", "--json")
    assert result.returncode == 78
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert {error["key"] for error in document["errors"]} == {
        "defaults.findtime", "defaults.maxretry"
    }  # fmt: skip
    assert all(error["file"] == str(path) and error["remedy"] for error in document["errors"])


def test_the_shipped_configuration_is_used_where_the_host_has_none(tmp_path: Path) -> None:
    """`check` without any configuration checks the shipped one: eight jails."""
    if Path("/etc/mailbanned/mailbanned.toml").exists():
        pytest.skip("this host has a configuration of its own")
    result = cli("check")
    assert result.returncode == 0
    assert result.stdout.count(" -> banned ") == 8
