"""The daemon's own log: structlog, for people on a terminal, key=value or JSON for the journal.

Every message is an event text plus named values: log.info("[sshd] Ban 192.0.2.1", failures=3).
This is the only file that knows structlog. The pure packages do not log at all: they return values,
and their callers may log.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Literal

from mailbanned.escape import escape_control

# structlog would load rich, which takes 4 MB, for tracebacks that are never printed here.
_WITHOUT = "rich" not in sys.modules
if _WITHOUT:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _WITHOUT:
    del sys.modules["rich"]

Form = Literal["auto", "text", "keyvalue", "json"]

# systemd reads "<N>" at the start of a line as the syslog priority of the message.
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

# Values of these types stay as they are: none of them is ever shown with a control character.
_HARMLESS = (bool, int, float, list, tuple, dict, type(None))


def get_logger(component: str) -> Any:
    """The logger of one package, for example "sources"; values given to it stay structured."""
    return structlog.get_logger(component=component)


def configure_logging(form: Form = "auto", level: str = "info") -> None:
    """Decides how log messages look: once, at start. They go to stderr.

    "auto" is coloured text on a terminal and key=value elsewhere. Under journald, which keeps its
    own time and priority, key=value lines carry a "<N>" priority instead of a time stamp.
    """
    terminal = sys.stderr.isatty()
    if form == "auto":
        form = "text" if terminal else "keyvalue"
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _printable,
    ]
    if form == "text":
        short = structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False)
        shared += [
            _without_component,
            short,
            structlog.dev.ConsoleRenderer(colors=terminal, sort_keys=False),
        ]
    else:
        shared += [structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")]
        shared += [_key_value if form == "keyvalue" else structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


class Condition:
    """Something that may be wrong: logged once when it begins or changes, and once when it ends.

    log: where to.
    text: what is wrong now; "" is nothing.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self.text = ""

    def report(self, text: str, *, level: str = "warning", **values: object) -> None:
        """Says what is wrong, unless it was said already."""
        if text != self.text:
            self.text = text
            getattr(self._log, level)(text, **values)

    def clear(self, text: str, **values: object) -> None:
        """Says that all is well again, if something was wrong."""
        if self.text:
            self.text = ""
            self._log.info(text, **values)


def _printable(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """No value breaks its line; a trace keeps its lines, indented, so that none poses as ours."""
    trace = event.pop("exception", None)
    shown = {
        key: value if isinstance(value, _HARMLESS) else escape_control(str(value))
        for key, value in event.items()
    }
    if trace is not None:
        shown["exception"] = "\n".join(f"    {escape_control(line)}" for line in trace.split("\n"))
    return shown


def _without_component(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what is only for machines: the component, and values that are None."""
    event.pop("component", None)
    return {key: value for key, value in event.items() if value is not None}


_pairs = structlog.processors.LogfmtRenderer(bool_as_flag=False)


def _key_value(logger: Any, name: str, event: dict[str, Any]) -> str:
    """`[sshd] Ban 192.0.2.1 failures=3 user=root`: the sentence first, as grep expects it."""
    sentence = event.pop("event", "")
    at = event.pop("at")
    level = event.pop("level", "info")
    trace = f"\n{event.pop('exception')}" if "exception" in event else ""
    start = f"<{_PRIORITY.get(level, 6)}>" if "JOURNAL_STREAM" in os.environ else f"{at} {level} "
    return f"{start}{sentence} {_pairs(logger, name, event)}".rstrip() + trace
