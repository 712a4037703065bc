"""An enforcement of bans that does nothing, for tests that only count."""

from __future__ import annotations

from mailbanned.address import Subject
from mailbanned.jails import SeenWhileBanned
from mailbanned.model import Ban


class NoEnforcement:
    """Enforces no ban."""

    def want(self, ban: Ban) -> None:
        pass

    def unwant(self, subject: Subject) -> None:
        pass

    def check_effect(self, seen: SeenWhileBanned) -> None:
        pass
