"""A stand-in for `nft` that notes what it is asked to do, and answers as the test says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_PROGRAM = """#!{python} -IS
import json, os, pathlib, sys, time
parent = os.getppid()
folder = pathlib.Path({folder!r})
script = sys.stdin.read()
with open(folder / "calls", "a") as calls:
    print(json.dumps([os.getpid(), sys.argv[1:], script, time.monotonic()]), file=calls)
answers = json.loads((folder / "answers").read_text())
output, complaint, status, held = answers.pop(0) if len(answers) > 1 else answers[0]
(folder / "answers").write_text(json.dumps(answers))
while held and not (folder / "released").exists() and os.getppid() == parent:
    time.sleep(0.01)
sys.stdout.write(output)
sys.stderr.write(complaint)
with open(folder / "ended", "a") as ended:
    print(time.monotonic(), file=ended)
sys.exit(status)
"""

#: What nft 1.0.6 says when a table or set is not there.
GONE = (
    "/dev/stdin:1:18-27: Error: No such file or directory\n"
    "add element inet mailbanned ipv4_32 { 192.0.2.7 }\n"
    "                 ^^^^^^^^^^\n"
)
NOT_PERMITTED = "Operation not permitted (you must be root)\n"


class FakeNft:
    """Answers well, with nothing on its output, until `answer` says otherwise."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / "nft"
        self.path.write_text(_PROGRAM.format(python=sys.executable, folder=str(directory)))
        self.path.chmod(0o755)
        self._answers: list[tuple[str, str, int, bool]] = []
        self.then()

    def then(
        self, output: str = "", complaint: str = "", status: int | None = None, held: bool = False
    ) -> None:
        """One more answer, for the next run; the last one goes for all that follow.

        held: the run waits for `release` before it answers.
        """
        if status is None:
            status = 1 if complaint else 0
        self._answers.append((output, complaint, status, held))
        (self._directory / "answers").write_text(json.dumps(self._answers))

    def answer(
        self, output: str = "", complaint: str = "", status: int | None = None, held: bool = False
    ) -> None:
        """From now on this answer, followed by those of `then`."""
        self._answers.clear()
        self.then(output, complaint, status, held)

    def release(self) -> None:
        """Lets runs that are held go on, now and from now on."""
        (self._directory / "released").touch()

    def scripts(self) -> list[str]:
        """What it was given to carry out, run by run."""
        return [script for _, arguments, script, _ in self._calls() if arguments == ["-f", "-"]]

    def forget(self) -> None:
        """Starts a new list of scripts."""
        (self._directory / "calls").unlink(missing_ok=True)
        (self._directory / "ended").unlink(missing_ok=True)

    def overlapped(self) -> bool:
        """Whether a run began before the one before it had ended."""
        begun = [call[3] for call in self._calls()]
        ended = [float(line) for line in (self._directory / "ended").read_text().split()]
        return any(begin < end for begin, end in zip(begun[1:], ended, strict=False))

    def still_running(self) -> list[int]:
        """The runs that have not ended, or that nobody waited for."""
        return [pid for pid, *_ in self._calls() if Path("/proc", str(pid)).exists()]

    def _calls(self) -> list[tuple[int, list[str], str, float]]:
        notes = self._directory / "calls"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [tuple(json.loads(line)) for line in lines]
