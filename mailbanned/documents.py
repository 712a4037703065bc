"""What JSON documents of several commands have in common."""

from __future__ import annotations

from typing import Any

from mailbanned.clock import iso
from mailbanned.model import Ban


def ban_document(ban: Ban) -> dict[str, Any]:
    """What `ban`, `status`, `why` and `test` say of a ban; each may add more."""
    return {
        "address": ban.subject,
        "jail": ban.jail,
        "since": iso(ban.since),
        "until": iso(ban.until),
        "failures": ban.failures,
        "user": ban.user,
        "reason": ban.reason,
    }
