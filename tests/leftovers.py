"""A pytest plugin: what a test leaves behind ends with it, and is held against no other test.

After each test, what nothing uses any more is collected, tasks that still run are cancelled, and
child processes are killed. A test that passed and left something is an error; one that failed
shows it beside its failure. Without this, an open file that the traceback of a failed test holds
is found when the next test begins, and fails that one.

Known limits: what a test leaves where it stays reachable (a module, a class) is not seen; and the
child processes of a test are its own only if no fixture that tests share may have started them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio


@dataclass
class _Leftovers:
    """failed: whether the test has. left: what it left. children: those before it, if known."""

    failed: bool = False
    left: list[str] = field(default_factory=list)
    children: set[int] | None = None


_KEY = pytest.StashKey[_Leftovers]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has every asynchronous test look for its tasks."""
    for item in items:
        if pytest_asyncio.is_async_test(item):
            item.fixturenames.insert(0, "_no_task_left")


def pytest_collection_finish() -> None:
    """Exempts what is there before the first test: collecting then takes a fraction of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers that the test failed."""
    report = yield
    item.stash[_KEY].failed |= report.failed
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Collects what the last traceback of a failed test held."""
    item.stash[_KEY] = _Leftovers()
    result = yield
    if item.stash[_KEY].failed:
        with _unraisable(lambda _: None):
            _forget_traceback()
            gc.collect()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Ends what is left after all fixtures of the test, and says so."""
    found = item.stash[_KEY]
    try:
        yield
    except BaseException:
        found.failed = True
        raise
    finally:
        if found.children is not None:
            found.left += _end_children(_children() - found.children)
        with _unraisable(found.left.append):
            if isinstance(item, pytest.Function):
                item.funcargs.clear()
            _forget_traceback()
            gc.collect()
        if found.failed and found.left:
            item.add_report_section("teardown", "leftovers", "\n".join(found.left))
    if found.left and not found.failed:
        pytest.fail("The test left behind:\n" + "\n".join(found.left), pytrace=False)


@pytest_asyncio.fixture
async def _no_task_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Cancels the tasks that still run at the end of an asynchronous test."""
    yield
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    request.node.stash[_KEY].left += [f"a task that still runs: {task!r}" for task in tasks]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


@pytest.fixture(autouse=True)
def _no_child_left(request: pytest.FixtureRequest) -> None:
    """Notes which children were there before the test."""
    fixtures = request.node._fixtureinfo.name2fixturedefs.values()
    ours = [definitions[-1] for definitions in fixtures if definitions[-1].baseid]
    if all(definition.scope == "function" for definition in ours):
        request.node.stash[_KEY].children = _children()


def _children() -> set[int]:
    """The processes that this one has started and not waited for."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found.update(map(int, path.read_text().split()))
    return found


def _end_children(children: set[int]) -> list[str]:
    """Kills the children, and says which they were."""
    left = []
    for pid in children:
        with suppress(ProcessLookupError, ChildProcessError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            left.append(f"a child process: {command or 'one that has ended, not waited for'}")
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return left


def _forget_traceback() -> None:
    """Lets go of the last exception, which pytest keeps for debuggers, and so of its frames."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)


@contextmanager
def _unraisable(take: Callable[[str], object]) -> Iterator[None]:
    """Takes what is raised where nothing can catch it; with our filters, warnings are raised."""

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        what = unraisable.err_msg or "Exception ignored in"
        take(f"{what} {unraisable.object!r}: {unraisable.exc_value!r}")

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before
