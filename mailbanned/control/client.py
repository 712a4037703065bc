"""The command line's end of the control socket: one question, one answer."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from mailbanned.control import protocol

# Longer than any reload or wave of bans takes.
_TIMEOUT_S = 60.0


def ask(path: Path, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """The daemon's answer to a command.

    Raises Unreachable without a daemon, Denied without permission, Refused or ControlError with
    what the daemon says.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(str(path))
            connection.sendall(protocol.request(command, arguments or {}))
            with connection.makefile("rb") as stream:
                line = stream.readline(protocol.MAX_RESPONSE_BYTES)
        except PermissionError:
            raise protocol.Denied(
                f"you may not talk to the daemon at {path}; try again as root"
            ) from None
        except TimeoutError:
            raise protocol.Unreachable(
                f"the daemon at {path} did not answer within {_TIMEOUT_S:.0f} s; look at its log"
            ) from None
        except OSError as error:
            raise protocol.Unreachable(
                f"no daemon answers at {path} ({error.strerror or error}); is it running "
                "(systemctl status mailbanned), and is [control] socket the same?"
            ) from None
    if not line:
        raise protocol.Unreachable(f"the daemon at {path} hung up; look at its log")
    return protocol.parse_answer(line)
