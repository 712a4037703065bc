"""The host itself leaves nothing behind, even if its tests are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.host.boot import remove_leftovers
from tests.real.netns import wait_until
from tests.waiting import HANG_S

pytestmark = pytest.mark.real

BOOT = """
import sys
from tests.e2e.host.boot import Host
from tests.e2e.host.install import layers
with Host(layers()) as host:
    print(host.root, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.usefixtures("booted")
def test_interrupted(number: signal.Signals) -> None:
    """Its processes end with the tests, and its names are gone at the latest with the next run."""
    tests = subprocess.Popen(
        [sys.executable, "-c", BOOT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with tests:
        assert tests.stdout
        init = Path(tests.stdout.readline().strip()).parent
        assert (init / "comm").read_text() == "systemd\n"
        tests.send_signal(number)
        tests.wait(HANG_S)
    wait_until(lambda: not init.exists(), "its init is gone")
    remove_leftovers()
    assert names_of(tests.pid) == []


def names_of(pid: int) -> list[str]:
    """The names of what a host of that process has left."""
    names = [name for _, folders, _ in os.walk("/sys/fs/cgroup") for name in folders]
    names += [path.name for path in Path("/run/netns").iterdir()]
    return [name for name in names if name.endswith(f"-{pid}")]
