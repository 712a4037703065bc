"""What a test leaves behind is held against that test, whether it passed or failed, and no other.

The tests that leave something are run by a pytest of their own; after each comes one that has to
pass.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
BEGIN = """
import asyncio, gc, os, subprocess, sys
import pytest

KEPT = []

async def forever():
    await asyncio.Event().wait()

class Cycle:
    def __init__(self, path):
        self.itself, self.file = self, open(path, "w")

@pytest.fixture
def held(tmp_path):
    return open(tmp_path / "held", "w")

@pytest.fixture
def broken(tmp_path):
    file = open(tmp_path / "broken", "w")
    assert 1 == 2
"""
NEXT = """
def test_after_{number}():
    gc.collect()

async def test_loop_after_{number}():
    assert len(asyncio.all_tasks()) == 1
    gc.collect()
"""
#: What is left, with the head of the test and the statement that leaves it, and how it is called.
LEAVE = {
    "an open file": ("def {}(tmp_path):", 'file = open(tmp_path / "x", "w")', "unclosed file"),
    "a cycle": ("def {}(tmp_path):", 'cycle = Cycle(tmp_path / "x")', "unclosed file"),
    "an open file of a fixture": ("def {}(held):", "pass", "unclosed file"),
    "a coroutine": ("async def {}():", "coroutine = forever()", "was never awaited"),
    "a task": ("async def {}():", "KEPT.append(asyncio.create_task(forever()))", "still runs"),
    "a child": ("def {}():", 'KEPT.append(subprocess.Popen(["sleep", "999"]))', "a child process"),
    "a child that has ended": (
        "def {}():",
        'child = subprocess.Popen("true"); os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)',
        "a child process",
    ),
    "a child of asyncio": (
        "async def {}():",
        'KEPT.append(await asyncio.create_subprocess_exec("sleep", "999"))',
        "a child process",
    ),
}


def run(folder: Path, code: str) -> dict[str, str]:
    """Runs the tests; gives what was said of each, "" if it passed without a word."""
    path, result = folder / "test_case.py", folder / "result.xml"
    path.write_text(BEGIN + code)
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", "pyproject.toml", f"--junitxml={result}"),
            *("-p", "tests.leftovers", "-p", "no:cacheprovider"),
            *("-q", str(path)),
        ],
        cwd=ROOT, timeout=600, check=False, capture_output=True,
    )  # fmt: skip
    said: dict[str, str] = {}
    for case in ElementTree.parse(result).iter("testcase"):
        texts = [f"{part.tag}: {part.text}" for part in case]
        said[case.attrib["name"]] = said.get(case.attrib["name"], "") + "\n".join(texts)
    return said


def cases(end: str) -> str:
    """A test for each thing to leave, which goes on as given, and those after it."""
    code = ""
    for number, (head, leave, _) in enumerate(LEAVE.values()):
        code += f"{head.format(f'test_{number}')}\n    {leave}\n    {end}\n"
        code += NEXT.format(number=number)
    return code


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of tests that fail."""
    return run(tmp_path_factory.mktemp("failed"), cases("assert 1 == 2"))


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of tests that pass, but for what they leave."""
    return run(tmp_path_factory.mktemp("passed"), cases("pass"))


@pytest.mark.parametrize(("number", "what"), list(enumerate(LEAVE)), ids=LEAVE)
def test_a_failure_fails_no_neighbour(failed: dict[str, str], number: int, what: str) -> None:
    """A test that fails and leaves something shows that it failed; the tests after it pass."""
    assert "assert 1 == 2" in failed[f"test_{number}"]
    assert "error:" not in failed[f"test_{number}"]
    assert (failed[f"test_after_{number}"], failed[f"test_loop_after_{number}"]) == ("", "")


@pytest.mark.parametrize(("number", "what"), list(enumerate(LEAVE)), ids=LEAVE)
def test_who_passes_must_clean_up(passed: dict[str, str], number: int, what: str) -> None:
    """A test that passes and leaves something has failed by that; the tests after it pass."""
    assert LEAVE[what][2] in passed[f"test_{number}"]
    assert "error:" in passed[f"test_{number}"] or "failure:" in passed[f"test_{number}"]
    assert (passed[f"test_after_{number}"], passed[f"test_loop_after_{number}"]) == ("", "")


def test_fixtures_that_fail(tmp_path: Path) -> None:
    """A fixture that fails and leaves a file open fails its own test only."""
    said = run(tmp_path, "def test_0(broken): pass\n" + NEXT.format(number=0))
    assert "assert 1 == 2" in said.pop("test_0")
    assert said == {"test_after_0": "", "test_loop_after_0": ""}


def test_what_a_failure_left_is_shown(tmp_path: Path) -> None:
    """The report of a failed test names what it left."""
    path = tmp_path / "test_case.py"
    path.write_text(BEGIN + cases("assert 1 == 2"))
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.leftovers"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(path)],
        cwd=ROOT, timeout=600, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.count("Captured leftovers teardown") == len(LEAVE)
    for _, _, shown in LEAVE.values():
        assert shown in done.stdout
