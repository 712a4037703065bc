"""Tells a quiet log from one that is written to and says nothing that can be understood.

A log may lose its voice without an error anywhere: its writer never ends a line, or it was given
another format and no line has a time stamp any more.

Known limits. A log whose lines never had time stamps is not expected to have them. Of what is read
at once only the last lines are looked at, and none of it within a minute after a good one.
"""

from __future__ import annotations

from mailbanned.sources.start import TooOld
from mailbanned.sources.troubles import Trouble

#: How long a log may be written to without saying anything before that is told. Seconds.
MUTE_S = 600.0
_GOOD_FOR_S = 60.0
_LINES = 100


class Hearing:
    """What the log at one path has said lately. too_old: None of a line without a time stamp."""

    def __init__(self, too_old: TooOld) -> None:
        self._too_old = too_old
        self._stamped: float | None = None
        # Since when there is nothing but bytes, or lines without stamps; on the monotonic clock.
        self._endless: float | None = None
        self._unstamped: float | None = None

    def trouble(self, path: str, lines: bytes, grown: bool, ticks: float) -> Trouble | None:
        """What is wrong, after a read: the lines that it gave, or none although it had grown."""
        if lines or not grown:
            self._endless = None
        elif self._endless is None:
            self._endless = ticks
        if lines:
            self._look_for_stamps(lines, ticks)
        if self._endless is not None and ticks - self._endless > MUTE_S:
            return _endless(path)
        if self._unstamped is not None and ticks - self._unstamped > MUTE_S:
            return _unstamped(path)
        return None

    def _look_for_stamps(self, lines: bytes, ticks: float) -> None:
        if self._stamped is not None and ticks - self._stamped < _GOOD_FOR_S:
            return
        last = lines.rsplit(b"\n", _LINES + 1)[-_LINES - 1 :]
        if any(self._too_old(line) is not None for line in last):
            self._stamped, self._unstamped = ticks, None
        elif self._stamped is not None and self._unstamped is None:
            self._unstamped = ticks


def _endless(path: str) -> Trouble:
    return Trouble(
        "waiting",
        f"{path} is written to, but for ten minutes no line in it was ended; "
        "see what the service writes there, and whether that is its log",
    )


def _unstamped(path: str) -> Trouble:
    return Trouble(
        "waiting",
        f"{path} is written to, but for ten minutes none of its lines had a time stamp; "
        "see whether the service logs in another format now (mailbanned test --explain LINE)",
    )
