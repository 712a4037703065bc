"""SIGHUP and `mailbanned reload`: a new configuration as a whole or not at all."""

from __future__ import annotations

import signal

from tests.running import JAILS, Running, sasl, ssh, ssh_password, write_config

A, B = "203.0.113.5", "203.0.113.6"


def test_sighup_takes_new_rules_and_keeps_bans_and_counts(daemon: Running) -> None:
    """With maxretry lowered, one more failure of a counted attacker is enough."""
    daemon.append("secure", ssh(A))
    daemon.append("postfix.log", sasl(B, "info"))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.wait(lambda: daemon.jail("postfix-sasl")["failures_now"] == 1, "it is counted")
    write_config(
        daemon.folder, more=JAILS.replace("[defaults]", "") + "\n[defaults]\nmaxretry = 2\n"
    )
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait(lambda: "the new configuration is in use" in daemon.log(), "it is loaded")
    assert daemon.banned() == {"sshd-unknown": {f"{A}/32"}}
    daemon.append("postfix.log", sasl(B, "info"))
    daemon.wait_banned("postfix-sasl", f"{B}/32")


def test_a_refused_configuration_changes_nothing_and_is_shown(daemon: Running) -> None:
    """All errors stand in the answer, in the log and in the status; the old one goes on."""
    good = daemon.config.read_text()
    daemon.config.write_text(
        good.replace('backend = "none"', 'backend = "oracle"') + "[jails.sshd2]\nmaxretri = 3\n"
    )
    result = daemon.cli("reload")
    assert result.returncode == 78
    last = daemon.status()["config"]["last_reload"]
    assert last["ok"] is False
    for part in ("accounts.backend", "jails.sshd2.maxretri", "jails.sshd2.source"):
        assert part in result.stderr
        assert any(part in error for error in last["errors"])
        assert part in daemon.log()
    daemon.append("secure", ssh(A))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    daemon.config.write_text(good)
    assert daemon.cli("reload").returncode == 0
    assert daemon.status()["config"]["last_reload"]["ok"] is True


def test_what_needs_a_restart_is_refused_with_the_remedy(daemon: Running) -> None:
    """Another state file cannot be taken while running, and nothing else of that file is."""
    text = daemon.config.read_text().replace("state.db", "other.db")
    daemon.config.write_text(text + "[defaults]\nmaxretry = 1\n")
    result = daemon.cli("reload")
    assert result.returncode == 78
    assert "store.path: cannot change while running; restart mailbanned" in result.stderr
    daemon.append("postfix.log", sasl(A, "info"))
    daemon.settled()
    assert f"{A}/32" not in daemon.banned()["postfix-sasl"], "maxretry is still 3"


def test_an_address_that_becomes_ignored_is_unbanned(daemon: Running) -> None:
    """A ban of an address that the new configuration ignores is lifted at the reload."""
    daemon.append("secure", ssh(A), ssh(B))
    daemon.wait_banned("sshd-unknown", f"{B}/32")
    with daemon.config.open("a") as file:
        file.write(f'[defaults]\nignore = ["127.0.0.0/8", "{A}"]\n')
    assert daemon.cli("reload").returncode == 0
    assert daemon.banned() == {"sshd-unknown": {f"{B}/32"}}
    daemon.wait(lambda: daemon.status()["firewall"]["bans_in_force"] == 1, "the rule is gone")


def test_sources_come_and_go_and_nothing_is_counted_twice(daemon: Running) -> None:
    """A source whose path changes and changes back resumes where it stopped."""
    daemon.append("secure", ssh_password(A), ssh_password(A))
    daemon.wait(lambda: daemon.jail("sshd")["failures_now"] == 2, "both are counted")
    good = daemon.config.read_text()
    daemon.config.write_text(good.replace("/secure", "/auth.log"))
    assert daemon.cli("reload").returncode == 0
    (daemon.folder / "auth.log").touch()
    daemon.append("auth.log", ssh(B))
    daemon.wait_banned("sshd-unknown", f"{B}/32")
    daemon.config.write_text(good)
    assert daemon.cli("reload").returncode == 0
    daemon.append("secure", ssh("203.0.113.7"))
    daemon.wait_banned("sshd-unknown", "203.0.113.7/32")
    assert daemon.jail("sshd")["failures_now"] == 4, "two of each, and none twice"
    assert f"{A}/32" not in daemon.banned().get("sshd", ())


def test_a_source_has_other_logs_for_a_while(daemon: Running) -> None:
    """It resumes where it stopped, also if its paths change while the daemon is down."""
    good = daemon.config.read_text()
    for number, name in enumerate(("secure", "auth.log", "other.log", "secure")):
        daemon.stop()
        daemon.config.write_text(good.replace("/secure", f"/{name}"))
        daemon.start()
        daemon.append(name, ssh(f"203.0.113.{70 + number}"))
        daemon.wait_banned("sshd-unknown", f"203.0.113.{70 + number}/32")
    assert daemon.jail("sshd")["failures_now"] == 4, "one of each, and none twice"


def test_a_disabled_jail_rests_and_its_bans_stay(daemon: Running) -> None:
    """After `enabled = false` nobody new is banned by the jail, and its bans hold."""
    daemon.append("secure", ssh(A))
    daemon.wait_banned("sshd-unknown", f"{A}/32")
    with daemon.config.open("a") as file:
        file.write("\n")
    text = daemon.config.read_text()
    daemon.config.write_text(
        text.replace("[jails.sshd-unknown]", "[jails.sshd-unknown]\nenabled = false")
    )
    assert daemon.cli("reload").returncode == 0
    jail = daemon.jail("sshd-unknown")
    assert jail["enabled"] is False
    assert jail["banned_now"] == 1
    daemon.append("secure", ssh(B), *(ssh_password(B) for _ in range(3)))
    daemon.wait_banned("sshd", f"{B}/32")
    assert daemon.jail("sshd-unknown")["banned_now"] == 1
