"""What the service may do, tried in its own sandbox: its unit with another program in it."""

from __future__ import annotations

import re

import pytest

from tests.e2e.host.mailhost import MailHost

pytestmark = pytest.mark.real

NAME = "org.fedoraproject.FirewallD1"
FIREWALLD = f"busctl call {NAME} /org/fedoraproject/FirewallD1 {NAME}"
LOGIN = "busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"

ALLOWED = (
    "test -r /var/log/mail.log",
    "touch /var/lib/mailbanned/tried",
    "rm /var/lib/mailbanned/tried",
    f"{FIREWALLD}.zone getRichRules s public",
)
FORBIDDEN = (
    # to read what is secret
    "grep root /etc/shadow",
    "ls /etc/ssh | grep .",
    "ls -A /root | grep .",
    "ls /proc/1",
    # to write anything but its state
    "touch /etc/tried",
    "touch /etc/mailbanned/tried",
    "touch /usr/tried",
    "touch /run/tried2",
    "touch /var/log/tried",
    "echo 1 >/proc/sys/net/ipv4/ip_forward",
    # to become more than it is
    "chmod u+s /var/lib/mailbanned",
    "chown root /var/lib/mailbanned",
    "setpriv --reuid 0 true",
    "unshare -U true",
    "mount -t tmpfs tried /tmp",
    "python3 -c 'import socket; socket.socket(socket.AF_PACKET)'",
    # to ask others for more
    f"{FIREWALLD} authorizeAll",
    f"{FIREWALLD}.direct getAllRules",
    f"{FIREWALLD}.policies enableLockdown",
    "systemctl stop firewalld",
    "systemctl start --no-block tried.service",
    f"{LOGIN} Reboot b false",
)


def sandboxed(host: MailHost, *commands: str) -> dict[str, str]:
    """What commands said in the sandbox of the service, "" for each that succeeded."""
    unit = (host.root / "etc/systemd/system/mailbanned.service").read_text()
    other = r"^(Type|ExecStart|Restart\w*|WatchdogSec|RuntimeDirectory\w*)=.*\n"
    unit = re.sub(other, "", unit, flags=re.MULTILINE)
    start = "\n[Service]\nType=oneshot\nExecStart=sh /run/tried\n"
    (host.root / "run/systemd/system/tried.service").write_text(
        unit.replace("\n[Service]\n", f"{start}StandardOutput=truncate:/run/tried.out\n")
    )
    (host.root / "run/tried").write_text(
        "".join(
            f"if ({command}) >/tmp/said 2>&1 </dev/null; then echo; "
            "else echo refused: $(tail -n 1 /tmp/said); fi\n"
            for command in commands
        )
    )
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "tried.service")
    said = (host.root / "run/tried.out").read_text().splitlines()
    return dict(zip(commands, said, strict=True))


def test_what_it_may_do(host: MailHost) -> None:
    """The service reads logs, keeps its state, and asks firewalld for its rules."""
    assert set(sandboxed(host, *ALLOWED).values()) == {""}


def test_what_it_may_not_do(host: MailHost) -> None:
    """The service reads no secrets, writes only its state, and cannot become more than it is."""
    said = sandboxed(host, *FORBIDDEN)
    assert [command for command, refusal in said.items() if not refusal] == []
