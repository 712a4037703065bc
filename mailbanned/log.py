"""The daemon's own log: structlog, for people on a terminal, key=value or JSON for the journal.

Every message is an event text plus named values: log.info("[sshd] Ban 192.0.2.1", failures=3).
This is the only file that knows structlog. Rooms on the lowest floors do not log at all: they
return values, and whoever asked them may log.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

Form = Literal["auto", "text", "keyvalue", "json"]

# systemd reads "<N>" at the start of a line as the syslog priority of the message.
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def get_logger(room: str) -> Any:
    """The logger of one room, for example "sources"; values given to it stay structured."""
    return structlog.get_logger(room=room)


def set_up(form: Form = "auto", level: str = "info") -> None:
    """Decides how log messages look: once, at start. They go to stderr.

    "auto" is coloured text on a terminal and key=value elsewhere (as in the journal).
    """
    terminal = sys.stderr.isatty()
    if form == "auto":
        form = "text" if terminal else "keyvalue"
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.format_exc_info]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=False)
    if form == "text":
        short = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False)
        shared += [_without_room, short, structlog.dev.ConsoleRenderer(colors=terminal)]
    elif form == "keyvalue":
        shared += [_with_priority]
    else:
        shared += [stamp, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _without_room(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """People on a terminal read the sentence; the room is for machines."""
    event.pop("room", None)
    return event


_pairs = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def _with_priority(logger: Any, name: str, event: dict[str, Any]) -> str:
    """`<6>[sshd] Ban 192.0.2.1 failures=3 user=root`: the sentence first, as grep expects it."""
    sentence = str(event.pop("event", "")).replace("\n", "\\n")
    level = str(event.pop("level", "info"))
    trace = event.pop("exception", None)
    if trace:
        event["exception"] = trace
    priority = f"<{_PRIORITY.get(level, 6)}>" if not sys.stderr.isatty() else ""
    values = {key: "" if value is None else value for key, value in event.items()}
    return f"{priority}{sentence} {_pairs(logger, name, values)}".rstrip()
