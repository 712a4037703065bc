"""What is wrong with the logs of a file source: logged once each, and shown in its state.

FormatWatch detects a log that grows but yields no complete line, or no line with a time stamp: its
writer never ends a line, or it was given another format.

Known limits. A log whose lines never had time stamps is not expected to have them. Of what is read
at once only the last lines are looked at, and none of it within a minute after a good one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mailbanned.log import Condition, get_logger
from mailbanned.sources.base import PathState

_log = get_logger("sources")

#: How long a log may grow without a good line before that is reported. Seconds.
BAD_FORMAT_S = 600.0
#: How long after a good line no other one is looked for. Seconds.
_GOOD_FOR_S = 60.0
#: How many of the last lines of a read are searched for a time stamp.
_LINES = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a path is not followed at the moment, in a sentence that says what to do."""

    state: Literal["waiting", "unreadable"]
    text: str


def unreadable(path: str, error: OSError) -> Problem:
    """The problem of a log that exists and cannot be read."""
    remedy = "check the file system that it is on"
    if isinstance(error, PermissionError):
        remedy = "give the daemon's user the right to read it (mode, ACL, SELinux: ausearch -m avc)"
    reason = error.strerror or str(error)
    return Problem("unreadable", f"{path} cannot be read ({reason}); {remedy}")


class SourceHealth:
    """The present problems of one source, by path."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._by_path: dict[str, tuple[Problem, Condition]] = {}
        self._missing = ""
        self._missing_condition = Condition(_log)

    def report(self, path: str, problem: Problem) -> None:
        """Sets the problem of a path; logs it if it is a new one."""
        _, condition = self._by_path.get(path, (problem, Condition(_log)))
        self._by_path[path] = problem, condition
        condition.report(problem.text, source=self._source)

    def clear(self, path: str) -> None:
        """Removes the problem of a path that was read; logs it if there was one."""
        if path in self._by_path:
            _, condition = self._by_path.pop(path)
            condition.clear(f"{path} is read again", source=self._source)

    def retain(self, *groups: Iterable[str]) -> None:
        """Drops the problems of all paths but these, which do not exist any more."""
        paths = {path for group in groups for path in group}
        self._by_path = {path: entry for path, entry in self._by_path.items() if path in paths}

    def set_missing(self, pattern: str | None, log: bool) -> None:
        """Sets or removes (None) "no file matches the pattern". log: whether to log it, too."""
        if pattern is None:
            self._missing, self._missing_condition = "", Condition(_log)
            return
        self._missing = (
            f"no log file {pattern}; it is followed as soon as it appears. "
            "If it should be there, check the path and whether the service logs to it"
        )
        if log:
            self._missing_condition.report(self._missing, source=self._source)

    def states(self) -> list[PathState]:
        """The states of the paths with problems at which no file is open."""
        return [
            PathState(path, problem.state, None, 0, 0.0, None)
            for path, (problem, _) in self._by_path.items()
        ]

    def worst(self) -> Problem | None:
        """The problem to show: an unreadable log rather than one that is waited for."""
        problems = sorted((problem for problem, _ in self._by_path.values()), key=_severity)
        if problems:
            return problems[0]
        return Problem("waiting", self._missing) if self._missing else None


def _severity(problem: Problem) -> bool:
    return problem.state != "unreadable"


class FormatWatch:
    """Watches what is read from the log at one path.

    has_timestamp: whether a line has a time stamp.
    """

    def __init__(self, has_timestamp: Callable[[bytes], bool]) -> None:
        self._has_timestamp = has_timestamp
        # All on the monotonic clock: when a line last had a time stamp, since when the log grows
        # without a complete line, and since when its lines have no time stamps.
        self._good_at: float | None = None
        self._incomplete_since: float | None = None
        self._unstamped_since: float | None = None

    def check(self, path: str, lines: bytes, grown: bool, monotonic: float) -> Problem | None:
        """The problem after a read, None if there is none.

        lines: what was read. grown: whether the log has grown, even if there is no complete line.
        """
        if lines or not grown:
            self._incomplete_since = None
        elif self._incomplete_since is None:
            self._incomplete_since = monotonic
        if lines:
            self._look_for_timestamps(lines, monotonic)
        if _is_long_ago(self._incomplete_since, monotonic):
            return Problem(
                "waiting",
                f"{path} is written to, but for ten minutes no line in it was ended; "
                "see what the service writes there, and whether that is its log",
            )
        if _is_long_ago(self._unstamped_since, monotonic):
            return Problem(
                "waiting",
                f"{path} is written to, but for ten minutes none of its lines had a time stamp; "
                "see whether the service logs in another format now (mailbanned test --explain "
                "LINE)",
            )
        return None

    def _look_for_timestamps(self, lines: bytes, monotonic: float) -> None:
        if self._good_at is not None and monotonic - self._good_at < _GOOD_FOR_S:
            return
        last = lines.rsplit(b"\n", _LINES + 1)[-_LINES - 1 :]
        if any(map(self._has_timestamp, last)):
            self._good_at, self._unstamped_since = monotonic, None
        elif self._good_at is not None and self._unstamped_since is None:
            self._unstamped_since = monotonic


def _is_long_ago(since: float | None, monotonic: float) -> bool:
    return since is not None and monotonic - since > BAD_FORMAT_S
