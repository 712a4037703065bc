"""docs/adding.md and docs/testing.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.pages import TOP, blocks, created

# Where a piece of code goes that is no whole file: it stands in front of this text.
_PLACES = {
    "    socket: str": ("mailbanned/config/options.py", "    timezone: TimeZone"),
    "    if table.socket": ("mailbanned/daemon/factory.py", "    if table.journal is not None:"),
    '    "list-file"': ("mailbanned/firewall/__init__.py", '    "dry-run": lambda'),
    '    "banned"': ("mailbanned/cli/main.py", '    "check": '),
    "    audit: ": ("mailbanned/config/options.py", "    interim: bool"),
    "    grace: ": ("mailbanned/jails/settings.py", "    ignore: Networks"),
}
# What the recipes say in words: (file, what stands there, what takes its place).
_CHANGES = (
    (
        "mailbanned/sources/base.py",
        'Literal["file", "journal"]',
        'Literal["file", "journal", "datagram"]',
    ),
    (
        "mailbanned/sources/__init__.py",
        "from mailbanned.sources.file.source ",
        "from mailbanned.sources.datagram import DatagramSource\n"
        "from mailbanned.sources.file.source ",
    ),
    ("mailbanned/sources/__init__.py", "__all__ = [", '__all__ = [\n    "DatagramSource",'),
    (
        "mailbanned/config/options.py",
        "(self.path is None) == (self.journal is None)",
        "[self.path, self.journal, self.socket].count(None) != 2",
    ),
    ("mailbanned/config/load.py", '_LOG_KEYS = ("path",', '_LOG_KEYS = ("socket", "path",'),
    ("mailbanned/daemon/factory.py", "import FileSource,", "import DatagramSource, FileSource,"),
    (
        "mailbanned/firewall/__init__.py",
        "from mailbanned.firewall.nftables ",
        "from mailbanned.firewall.listfile import ListFile\nfrom mailbanned.firewall.nftables ",
    ),
    ("mailbanned/firewall/__init__.py", "__all__ = [", '__all__ = [\n    "ListFile",'),
)
_LOG = """\
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from mailbanned.clock import SystemClock
from mailbanned.sources import FileSource, Source, Watcher
from tests.sources.contract import Log, SourceContract
from tests.sources.rig import Age, append


"""
_SCENARIO = """\
from tests.e2e.host.attackers import Internet
from tests.e2e.host.conftest import Strangers
from tests.e2e.host.judge import Probe, judge
from tests.e2e.host.mailhost import MailHost


"""


def _change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text, f"{path}: {before}"
    path.write_text(text.replace(before, after, 1))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which all recipes have been followed."""
    top = tmp_path_factory.mktemp("checkout")
    for folder in ("mailbanned", "tests", "config"):
        shutil.copytree(TOP / folder, top / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", top)
    for path, text in created("docs/adding.md").items():
        (top / path).write_text(text)
    pieces = [one.text for one in blocks("docs/adding.md", language="python")]
    for start, (file, before) in _PLACES.items():
        (piece,) = (one for one in pieces if one.startswith(start))
        _change(top / file, before, piece + before)
    for change in _CHANGES:
        _change(top / change[0], *change[1:])
    enforcing = top / "mailbanned/daemon/firewall.py"
    (call,) = (one for one in pieces if "Enforcer(" in one)
    begin, _, rest = enforcing.read_text().partition("        self._enforcer = Enforcer(")
    enforcing.write_text(begin + call + rest[rest.index("\n    def _ban_end") :])
    (log,) = (one for one in pieces if one.startswith("class PlainLog"))
    (top / "tests/sources/test_plain.py").write_text(_LOG + log)
    (scenario,) = (one.text for one in blocks("docs/testing.md", language="python"))
    (top / "tests/e2e/host/test_scenario.py").write_text(_SCENARIO + scenario)
    return top


def _run(top: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m ARGUMENTS` in a copy of the checkout."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=top,
        env={**os.environ, "PYTHONPATH": str(top)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_types_are_right(copy: Path) -> None:
    """What the recipes make keeps every protocol and calls nothing that is not there."""
    result = _run(copy, "mypy", "mailbanned", *_tests(), "tests/e2e/host/test_scenario.py")
    assert result.returncode == 0, result.stdout


def test_the_tests_pass(copy: Path) -> None:
    """The tests that the recipes show, contracts among them, find nothing wrong."""
    result = _run(copy, "pytest", "-q", "-p", "no:cacheprovider", *_tests())
    assert result.returncode == 0, result.stdout


def _tests() -> list[str]:
    made = [path for path in created("docs/adding.md") if path.startswith("tests/")]
    return [*made, "tests/sources/test_plain.py"]


def test_the_option_of_jails_is_there(copy: Path, tmp_path: Path) -> None:
    """The one new field is taken in [defaults] and by a jail, and reaches the jails' settings."""
    (tmp_path / "main.toml").write_text(
        (copy / "config/mailbanned.toml").read_text().replace("[defaults]", "[defaults]\ngrace = 2")
        + "grace = 5\n"
    )
    code = (
        "import sys; from pathlib import Path; from mailbanned.config.load import load; "
        "print(*(jail.grace for jail in load(Path(sys.argv[1])).jails))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "main.toml")],
        cwd=copy,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(copy)},
        text=True,
        check=False,
        timeout=60,
    )
    assert result.stdout.split() == [*["2"] * 7, "5"], result.stderr


def test_the_options_and_the_command_are_there(copy: Path, tmp_path: Path) -> None:
    """The new tables pass the check, a file in conf.d too; the new command is asked like any."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "mailbanned.toml").write_text((copy / "config/mailbanned.toml").read_text())
    (tmp_path / "conf.d" / "50-here.toml").write_text(
        '[firewall]\nbackend = "list-file"\naudit = "5s"\n'
        f'[control]\nsocket = "{tmp_path}/none"\n[sources.postfix]\nsocket = "/run/log"\n'
    )
    command = ("mailbanned.cli", "-c", str(tmp_path / "mailbanned.toml"))
    start = "import sys; from mailbanned.cli import main; sys.argv = sys.argv[1:]; main()"
    for verb, status in (("check", 0), ("banned", 69)):
        result = subprocess.run(
            [sys.executable, "-c", start, *command, verb],
            cwd=copy,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(copy)},
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == status, result.stderr
