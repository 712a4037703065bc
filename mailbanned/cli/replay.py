"""Old logs through the jails, on the logs' own time: the work behind `mailbanned test`.

Known limit: this host's own addresses are not ignored, since a log may come from another host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import IO, Any

from mailbanned.clock import iso
from mailbanned.config import Config
from mailbanned.jails import Engine, JailRules, Question
from mailbanned.model import Ban, Failure, Subject, plain

_CHUNK = 1 << 19


def known(data: bytes) -> frozenset[str]:
    """The accounts of a --known-users file, one a line; case and outer blanks do not matter."""
    lines = (line.strip().lower() for line in data.decode("utf-8", "replace").split("\n"))
    return frozenset(line for line in lines if line)


class Replay:
    """Counts what logs hold.

    names: the jails to use; none are all that are enabled (a resting jail that is named works).
    accounts: the accounts that exist. each: is given one JSON object for each matched line.
    """

    def __init__(
        self, config: Config, names: Iterable[str], accounts: frozenset[str],
        each: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        chosen = [r for r in config.every_rule() if r.name in names] if names else config.rules
        self._accounts = accounts | {user.partition("@")[0] for user in accounts}
        self._each = each
        self._engine = Engine(chosen)
        self._filters = config.filter_sets(chosen)
        self._jails: dict[tuple[str, str], list[JailRules]] = {}
        for rules in chosen:
            self._jails.setdefault((rules.source, rules.filter), []).append(rules)
        self._now = time.time()
        self._at: float | None = None
        self._log = ""
        self.lines = 0
        self.matched_lines = 0
        self.matched = {rules.name: 0 for rules in chosen}
        self.bans: dict[str, list[dict[str, Any]]] = {rules.name: [] for rules in chosen}

    def read(self, stream: IO[bytes], log: str) -> None:
        """One log from its start to its end; a last line without LF counts too."""
        self._log, number, rest = log, 1, b""
        while chunk := stream.read(_CHUNK):
            end = chunk.rfind(b"\n") + 1
            if not end:
                rest += chunk
                continue
            number = self._block(rest + chunk[:end], number)
            rest = chunk[end:]
        if rest:
            number = self._block(rest, number)
        self.lines += number - 1

    def _block(self, block: bytes, number: int) -> int:
        """Whole lines; returns the number of the line after them."""
        seen: set[int] = set()
        for source, filters in self._filters.items():
            for failure in filters.failures(block, self._now, number):
                if self._failure(source, failure):
                    seen.add(failure.number)
        self.matched_lines += len(seen)
        return number + block.count(b"\n") + (not block.endswith(b"\n"))

    def _failure(self, source: str, failure: Failure) -> bool:
        """Counts one failure; whether any jail counts it."""
        counts = False
        for rules in self._jails[source, failure.rule.partition("/")[0]]:
            if not rules.unknown_accounts or self._unknown(failure.user):
                counts = True
                self.matched[rules.name] += 1
                if self._each is not None:
                    self._each(_match(rules.name, failure))
        at = self._at if failure.at is None else failure.at
        if at is None:
            at = self._now
        self._at = at
        self._engine.expire(at)
        for decision in self._engine.observe(source, failure, at, at):
            if isinstance(decision, Question):
                answer = self._engine.answer(decision, not self._unknown(decision.user), at)
                if answer is not None:
                    self._ban(answer, failure)
            else:
                self._ban(decision, failure)
        return counts

    def _unknown(self, user: str | None) -> bool:
        return user is not None and user.strip().lower() not in self._accounts

    def _ban(self, ban: Ban, failure: Failure) -> None:
        self.bans[ban.jail].append({
            "address": ban.subject,
            "at": iso(ban.since),
            "until": iso(ban.until),
            "line": failure.number,
            "failures": ban.failures,
            "user": ban.user,
            "log": self._log,
        })  # fmt: skip

    def document(self, seconds: float) -> dict[str, Any]:
        """What was found, as `mailbanned test --json` prints it."""
        return {
            "version": 1,
            "lines": self.lines,
            "matched": self.matched_lines,
            "seconds": round(seconds, 6),
            "jails": [
                {"name": name, "matched": count, "bans": self.bans[name]}
                for name, count in self.matched.items()
            ],
        }


def _match(jail: str, failure: Failure) -> dict[str, Any]:
    return {
        "line": failure.number,
        "jail": jail,
        "address": str(failure.address),
        "user": failure.user,
        "at": iso(failure.at),
        "rule": failure.rule,
    }


def text(document: dict[str, Any]) -> str:
    """The result for people; it ends with the sentence that fail2ban-regex ends with."""
    out = []
    for jail in document["jails"]:
        out.append(f"{jail['name']}: {jail['matched']} matched, {len(jail['bans'])} bans")
        for ban in jail["bans"]:
            until = ban["until"] or "for ever"
            user = f" as {ban['user']!r}" if ban["user"] else ""
            out.append(
                f"  {ban['at']}  Ban {plain(Subject(ban['address']))} until {until} "
                f"(line {ban['line']} of {ban['log']}, {ban['failures']} failures{user})"
            )
    lines, matched, seconds = document["lines"], document["matched"], document["seconds"]
    speed = f"{lines / seconds:,.0f} lines/s" if seconds else ""
    out += ["", f"Lines: {lines} lines, 0 ignored, {matched} matched, {lines - matched} missed"]
    out.append(f"[processed in {seconds:.2f} sec, {speed}]")
    return "\n".join(out)
