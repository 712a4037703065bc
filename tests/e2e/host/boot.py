"""A whole Debian, booted from layers of files in namespaces of its own, and the internet beside it.

    internet: net0 198.51.100.10-250, and 2001:db8:0:2::10, ::20 to 2001:db8:0:1f::10, ::20
       |
    host:     wan0 198.51.100.1, 2001:db8:0:1::1, the default route; systemd and what it starts

What the host writes is kept in memory, over reboots, until the end. The kernel takes back mounts
and processes, even if the tests are killed; what then remains (the names of two network namespaces,
an empty cgroup) is removed by the next run. Needs root and the programs in PROGRAMS.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from tests.e2e.host.root import OWN, SCRIPTS, Layer, cache
from tests.real.netns import Namespace, run, wait_until

PROGRAMS = ("debootstrap", "ip", "nft", "nsenter", "setpriv", "ssh", "unshare")

HOST4, HOST6 = "198.51.100.1", "2001:db8:0:1::1"
ADDRESSES4 = tuple(f"198.51.100.{n}" for n in range(10, 251))
ADDRESSES6 = tuple(f"2001:db8:0:{n:x}::10" for n in range(2, 0x20))
NEIGHBOURS6 = tuple(f"2001:db8:0:{n:x}::20" for n in range(2, 0x20))
_GATEWAY4, _GATEWAY6 = "198.51.100.254", "2001:db8:0:1::fe"
WITNESS = _GATEWAY6  # no test bans it: if it is not answered, nobody is
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OURS = re.compile(r"mb(?:host|net)-(\d+)")  # with the process id of the tests


def missing() -> str:
    """Why no host can be booted here, "" if one can."""
    if os.geteuid() != 0:
        return "a mail host needs root"
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"a mail host needs {', '.join(absent)}"
    return "" if _cgroups() else "a mail host needs a cgroup2 file system"


class Host:
    """with Host(layers) as host: host.run("systemctl", "status")

    layers: the root folder, the lowest first. internet: the namespace of its clients.
    root: its root folder, while this boot lasts.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._lower = ":".join(str(layer.tree) for layer in reversed(layers))
        self.namespace = Namespace(f"mbhost-{os.getpid()}")
        self.internet = Namespace(f"mbnet-{os.getpid()}")
        self._undo = ExitStack()
        self._boot = ExitStack()  # what lasts as long as its init
        self._init = 0

    def __enter__(self) -> Self:
        remove_leftovers()
        with ExitStack() as undo:
            for namespace in (self.namespace, self.internet):
                run("ip", "netns", "add", namespace.name)
                undo.callback(run, "ip", "netns", "del", namespace.name)
            self._link()
            undo.callback(lambda: self._boot.close())
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self._init}/root")

    def command(self, *argv: str, user: str = "root") -> list[str]:
        """What runs a program in the host: as one of its users, who gets no more rights by it."""
        inside = f"nsenter -t {self._init} -m -p -u -i -n -C -r -w -- env -i PATH={_PATH}"
        whose = ["HOME=/", "runuser", "-u", user, "--"] if user != "root" else ["HOME=/root"]
        return [*inside.split(), *whose, *argv]

    def run(self, *argv: str, stdin: str = "", check: bool = True, user: str = "root") -> str:
        """Runs a program in the host and returns its output; raises if it fails and so asked."""
        return run(*self.command(*argv, user=user), stdin=stdin, check=check)

    def renew(self) -> None:
        """Ends the host, whatever its state, and boots another one from the same layers."""
        self._boot.close()
        self._start()

    def reboot(self) -> None:
        """Shuts the host down in order and boots it again; returns as soon as the new init runs."""
        old = self._init
        self.run("systemctl", "reboot", check=False)
        wait_until(lambda: self._find_init() not in (0, old), "a new init runs")
        self._init = self._find_init()

    def wait_booted(self) -> None:
        """Returns when all that the host starts has started, or failed to."""

        def booted() -> bool:
            state = self.run("systemctl", "is-system-running", check=False).strip()
            return state in ("running", "degraded")

        wait_until(booted, "the host has booted")

    def _start(self) -> None:
        with ExitStack() as undo:
            self._start_init(undo)
            self._boot = undo.pop_all()

    def _start_init(self, undo: ExitStack) -> None:
        cgroups = _cgroups()
        assert cgroups is not None, "missing() was asked"
        cgroup = cgroups / self.namespace.name
        cgroup.mkdir()
        undo.callback(_remove_cgroup, cgroup)
        mountpoint = cache() / "mnt"  # what is mounted there is seen from inside only
        mountpoint.mkdir(exist_ok=True)
        enter = ("nsenter", f"--net=/run/netns/{self.namespace.name}", "--")
        boot = ("sh", SCRIPTS / "boot.sh", self._lower, mountpoint, cgroup)
        said = undo.enter_context(TemporaryFile("w+"))  # noqa: SIM115
        # A session of its own: Ctrl-C is for the tests, not for the host.
        self._holder = subprocess.Popen(
            [*OWN, *enter, *boot],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        undo.callback(self._end)
        wait_until(lambda: self._holder.poll() is not None or self._find_init(), "an init runs")
        if self._holder.poll() is not None:
            said.seek(0)
            raise RuntimeError(f"the host cannot be booted: {said.read()}")
        self._init = self._find_init()

    def _end(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def _find_init(self) -> int:
        """The process id of the host's init as seen from here; 0 if none runs."""
        for pid in _descendants(self._holder.pid, 3):
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return pid
        return 0

    def _link(self) -> None:
        host, internet = self.namespace.name, self.internet.name
        run(*f"ip link add wan0 netns {host} type veth peer net0 netns {internet}".split())
        self.namespace.configure("wan0", [f"{HOST4}/24", f"{HOST6}/64"])
        theirs = [f"{address}/24" for address in (*ADDRESSES4, _GATEWAY4)]
        theirs += [f"{address}/64" for address in (*ADDRESSES6, *NEIGHBOURS6, _GATEWAY6)]
        self.internet.configure("net0", theirs)
        routes = f"route add default via {_GATEWAY4}\nroute add default via {_GATEWAY6}\n"
        run("ip", "-netns", host, "-batch", "-", stdin=routes)


def _descendants(pid: int, depth: int) -> Iterator[int]:
    """The process ids of children, and of theirs, down to a depth."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            if depth > 1:
                yield from _descendants(child, depth - 1)


def _cgroups() -> Path | None:
    """This process's own folder in the cgroup2 file system, if there is one."""
    mounts = Path("/proc/self/mountinfo").read_text()
    mounted = re.search(r"^\d+ \d+ \S+ / (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    return Path(mounted[1], own[1]) if mounted and own else None


def _remove_cgroup(cgroup: Path) -> None:
    """Removes a cgroup with all below, as soon as its processes are gone."""

    def gone() -> bool:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        return not cgroup.exists()

    wait_until(gone, f"{cgroup} is empty")


def remove_leftovers() -> None:
    """Removes what tests that were killed have left: names of namespaces, and cgroups."""
    for folder in (Path("/run/netns"), _cgroups()):
        for path in folder.iterdir() if folder and folder.exists() else ():
            ours = _OURS.fullmatch(path.name)
            if ours and not Path(f"/proc/{ours[1]}").exists():
                if path.is_dir():
                    _remove_cgroup(path)
                else:
                    run("ip", "netns", "del", path.name)
