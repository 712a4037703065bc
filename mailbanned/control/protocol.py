"""The protocol of the control socket: one JSON object each way, each ending in a line feed.

-> {"version": 1, "command": "ban", "arguments": {"addresses": ["192.0.2.7"]}}
<- {"ok": true, "result": {...}}   or   {"ok": false, "kind": "refused", "error": "..."}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VERSION = 1
#: Where the daemon listens by default.
DEFAULT_SOCKET = Path("/run/mailbanned/control.sock")
#: Limits; a ban of some ten thousand addresses fits.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
MAX_REQUEST_BYTES = 1024 * 1024


class ControlError(Exception):
    """Something that the person at the command line should read; one sentence."""

    kind = "failed"


class Refused(ControlError):
    """The daemon understood the request and does not do it."""

    kind = "refused"


class Denied(ControlError):
    """The person is not permitted to ask for this."""

    kind = "denied"


class Unreachable(ControlError):
    """There is no daemon to talk to."""

    kind = "unreachable"


_KINDS: dict[str, type[ControlError]] = {
    error.kind: error for error in (ControlError, Refused, Denied)
}


def request(command: str, arguments: dict[str, Any]) -> bytes:
    """A request as it goes over the socket."""
    return _line({"version": VERSION, "command": command, "arguments": arguments})


def parse_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """(command, arguments) of a request; ControlError if it is none."""
    try:
        message = json.loads(line)
        version, command, arguments = (
            message["version"],
            message["command"],
            message.get("arguments", {}),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ControlError("that is not a request") from None
    if version != VERSION:
        raise ControlError(f"the daemon speaks version {VERSION} of the protocol, not {version!r}")
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise ControlError("that is not a request")
    return command, arguments


def answer(result: Any) -> bytes:
    """A good answer as it goes over the socket."""
    return _line({"ok": True, "result": result})


def failure(error: ControlError) -> bytes:
    """A bad answer as it goes over the socket."""
    return _line({"ok": False, "kind": error.kind, "error": str(error)})


def parse_answer(line: bytes) -> Any:
    """The result; raises what the daemon raised."""
    try:
        message = json.loads(line)
        if message["ok"]:
            return message["result"]
        kind, text = str(message["kind"]), str(message["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ControlError("the daemon's answer makes no sense; are the versions equal?") from None
    raise _KINDS.get(kind, ControlError)(text)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
