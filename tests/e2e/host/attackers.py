"""Clients of the mail host, real ones, each from an address of its own: SMTP, IMAP, SSH.

They want to guess: what they try is refused. When they were answered tells when the host must have
noticed them.
"""

from __future__ import annotations

import base64
import imaplib
import os
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from tests.e2e.host.boot import HOST4, HOST6, WITNESS, Host
from tests.e2e.host.mailhost import IMAP, SUBMISSION
from tests.real.netns import unanswered
from tests.waiting import HANG_S

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. text: "" if the connection ended. Times of time.monotonic()."""

    sent: float
    at: float
    text: str


class Internet:
    """Where clients come from: with Internet(host) as internet: ...

    Every session has an address of its own as its source, and is closed at the end.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def dial(self, source: str, port: int, seconds: float = HANG_S) -> socket.socket:
        """A connection to the host. Raises TimeoutError if nobody answers."""
        made = self._from(source)
        made.settimeout(seconds)
        made.connect(_door(source, port))
        return made

    def drops(self, source: str, port: int) -> bool:
        """Whether the host lets what a client sends to a port vanish."""
        return unanswered(self._from(source), _door(source, port), lambda: self.dial(WITNESS, port))

    def _from(self, source: str) -> socket.socket:
        made = self._host.internet.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
        self._undo.callback(made.close)
        made.bind((source, 0))
        return made

    def smtp(self, source: str, port: int = SUBMISSION) -> Smtp:
        """A session at port 587, or 25, after its greeting."""
        session = Smtp(self.dial(source, port))
        self._undo.callback(session.close)
        return session

    def imap(self, source: str) -> Imap:
        """A session at port 143, after its greeting."""
        session = Imap(self.dial(source, IMAP))
        self._undo.callback(session.close)
        return session

    def ssh(self, source: str, user: str, attempts: int = 3) -> str:
        """What the real client says that tries a wrong password, again and again."""
        options = {
            "BindAddress": source,
            "PreferredAuthentications": "password",
            "NumberOfPasswordPrompts": str(attempts),
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": f"{HANG_S:.0f}",
        }
        settings = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        client = self._host.internet.popen(
            *("ssh", "-F", "none", *settings),
            *(f"{user}@{HOST6 if ':' in source else HOST4}", "true"),
            # What asks for the password gets its own question as the answer.
            env={**os.environ, "SSH_ASKPASS": "/bin/echo", "SSH_ASKPASS_REQUIRE": "force"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with client:
            try:
                said, _ = client.communicate(timeout=HANG_S)
            finally:
                client.kill()
        return str(said)


class Smtp(smtplib.SMTP):
    """A session on a connection that is open already."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__("host", local_hostname="client.example.net")
        self.ehlo()

    def _get_socket(self, *_: Any) -> socket.socket:
        return self._connection

    def login_as(self, user: str, password: str = "wrong") -> Answer:
        """One AUTH command."""
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return _timed(lambda: _joined(self.docmd("AUTH", f"PLAIN {token}")))

    def address_to(self, recipient: str) -> Answer:
        """A mail to a recipient, up to whether he is taken."""

        def address() -> str:
            self.rset()
            self.docmd("MAIL", "FROM:<news@example.net>")
            return _joined(self.docmd("RCPT", f"TO:<{recipient}>"))

        return _timed(address)


class Imap(imaplib.IMAP4):
    """A session on a connection that is open already."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__("host")

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._connection

    def login_as(self, user: str, password: str = "wrong") -> Answer:
        """One LOGIN command."""

        def login() -> str:
            try:
                return str(self.login(user, password))
            except imaplib.IMAP4.abort:
                raise ConnectionError from None
            except imaplib.IMAP4.error as error:
                return str(error)

        return _timed(login)

    def close(self) -> Any:
        """Ends the connection. (Of the base class it closes a mailbox.)"""
        with suppress(OSError):
            self.shutdown()


def _door(source: str, port: int) -> tuple[str, int]:
    """Where a client with an address of a family finds a port of the host."""
    return HOST6 if ":" in source else HOST4, port


def at_once(attack: Callable[[str], T], sources: Iterable[str]) -> dict[str, T]:
    """The attack from many addresses at the same time; what came of each."""
    sources = list(sources)
    with ThreadPoolExecutor(len(sources)) as pool:
        return dict(zip(sources, pool.map(attack, sources), strict=True))


def _timed(attempt: Callable[[], str]) -> Answer:
    sent = time.monotonic()
    try:
        text = attempt()
    except (OSError, smtplib.SMTPServerDisconnected):
        text = ""
    return Answer(sent, time.monotonic(), text)


def _joined(reply: tuple[int, bytes]) -> str:
    return f"{reply[0]} {reply[1].decode()}"
