"""The files for systemd and polkit, read by the tools that they are for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.waiting import HANG_S

FOLDER = Path(__file__).resolve().parent.parent / "systemd"
UNIT = FOLDER / "mailbanned.service"


def tool(name: str, *arguments: str) -> str:
    """What a systemd tool says; without it, the test is skipped, but fails in CI."""
    if shutil.which(name) is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"{name} is not installed")
    argv = [name, *arguments]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=HANG_S)
    return result.stdout + result.stderr


def service() -> list[tuple[str, str]]:
    """The settings of [Service], in their order."""
    section = UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0]
    return re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE)


def test_exposure() -> None:
    """systemd finds the daemon's exposure below 3."""
    said = tool("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"Overall exposure level for mailbanned.service: (\d+\.\d+)", said)
    assert found, said
    assert float(found[1]) < 3.0


def test_known_settings() -> None:
    """systemd knows every setting, save that releases before 253 do not know notify-reload."""
    said = tool("systemd-analyze", "verify", str(UNIT))
    complaints = [
        line
        for line in said.splitlines()
        if "mailbanned.service" in line
        and "notify-reload" not in line
        and "Command mailbanned is not executable" not in line  # it is not installed here
    ]
    assert complaints == []


def test_capabilities() -> None:
    """An ordinary user runs it, with two capabilities and no way to more."""
    settings = dict(service())
    assert settings["User"] == "mailbanned"
    assert settings["NoNewPrivileges"] == "yes"
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert set(settings[key].split()) == {"CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"}


def test_contract_with_the_daemon() -> None:
    """Reload, watchdog and bad configuration are what the daemon takes them for."""
    settings = dict(service())
    assert settings["Type"] == "notify-reload"
    assert int(settings["WatchdogSec"]) > 0
    assert settings["RestartPreventExitStatus"] == "78"
    assert settings["StateDirectory"] == settings["RuntimeDirectory"] == "mailbanned"


def test_polkit_rule() -> None:
    """The polkit rule gives one user three rights of firewalld, and nothing else to anybody."""
    text = (FOLDER / "50-mailbanned.rules").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    right = r'action\.id == "([\w.]+)"'
    assert set(re.findall(right, code)) == {
        "org.fedoraproject.FirewallD1.config",
        "org.fedoraproject.FirewallD1.config.info",
        "org.fedoraproject.FirewallD1.info",
    }
    shape = re.sub(r"\s+", " ", re.sub(right, "R", code)).strip()
    assert shape == (
        "polkit.addRule(function(action, subject) { "
        'if (subject.user == "mailbanned" && (R || R || R)) { return polkit.Result.YES; } });'
    )


def test_user(tmp_path: Path) -> None:
    """systemd-sysusers makes the user, who cannot log in."""
    (tmp_path / "etc").mkdir()
    said = tool("systemd-sysusers", f"--root={tmp_path}", str(FOLDER / "mailbanned.sysusers"))
    assert "mailbanned" in (tmp_path / "etc" / "passwd").read_text(), said
    *_, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (home, Path(shell).name) == ("/var/lib/mailbanned", "nologin")


def test_folders(tmp_path: Path) -> None:
    """systemd-tmpfiles makes the folder for the configuration."""
    (tmp_path / "etc").mkdir()
    me = f"{{}}:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n"
    (tmp_path / "etc" / "passwd").write_text(me.format("root"))
    groups = f"root:x:{os.getgid()}:\nmailbanned:x:{os.getgid()}:\n"
    (tmp_path / "etc" / "group").write_text(groups)
    password = tmp_path / "etc" / "mailbanned" / "mysql.password"
    tmpfiles = str(FOLDER / "mailbanned.tmpfiles")
    said = tool("systemd-tmpfiles", "--create", f"--root={tmp_path}", tmpfiles)
    assert (tmp_path / "etc" / "mailbanned" / "conf.d").is_dir(), said
    password.write_text("secret")
    password.chmod(0o644)
    tool("systemd-tmpfiles", "--create", f"--root={tmp_path}", tmpfiles)
    assert password.stat().st_mode & 0o777 == 0o640
