"""What stands before the message: takes time stamp and host off a line.

    May  1 06:43:08 mx postfix/smtpd[123]: warning: ...   ->  postfix/smtpd[123]: warning: ...
    May 01 06:43:08 imap-login: Info: Disconnected ...    ->  imap-login: Info: Disconnected ...

The program tag must stand right after the host: patterns are anchored there, so that a kernel
message or a forwarded text that quotes a tag further right is never taken for the real thing.

Known limit: container logs (CRI, docker json-file) and RFC 5424 are not taken apart; their lines
match nothing.
"""

from __future__ import annotations

from mailbanned.filters.stamps import Stamps
from mailbanned.model import Line


def split(raw: bytes, number: int, stamps: Stamps, now: float) -> Line:
    """The raw line (without LF) as a Line; what has no stamp is text from the start."""
    if raw.endswith(b"\r"):
        raw = raw[:-1]
    at, start = stamps.read(raw, now)
    if start:
        token_end = raw.find(b" ", start)
        # A first word such as `imap-login:` or `sshd[30876]:` is the tag itself: no host here.
        if token_end > 0 and not _is_tag(raw[start:token_end]):
            start = token_end + 1
    return Line(number, at, raw[start:])


def _is_tag(word: bytes) -> bool:
    return word.endswith(b":") or b"[" in word or b"(" in word
