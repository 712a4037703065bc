"""What becomes of one log line, step by step: the work behind `mailbanned test --explain`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from mailbanned.address import display_subject
from mailbanned.cli.common import Fault, span
from mailbanned.clock import iso
from mailbanned.config import Config
from mailbanned.filters import Filter, Finding, Ignored, Pattern
from mailbanned.filters.diagnose import first_mismatch, show
from mailbanned.filters.filterset import MAX_LINE
from mailbanned.jails import Jail, JailSettings
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Failure, Line, LoginSucceeded, OutageReported
from mailbanned.replay.reader import text_of

# Stamps that say less than all are read otherwise in another zone, or in another decade.
_ELSEWHERE = timezone(timedelta(hours=13, minutes=7))
_DECADE = 3653 * 86400.0

_NO_FAILURE = {
    Ignored: "a line that is known to be no failure",
    LoginSucceeded: "a good login",
    OutageReported: "a sign that the login backend is down",
}


def explanation(config: Config, names: Sequence[str], raw: bytes) -> dict[str, Any]:
    """A document: how the line is taken apart, every pattern's verdict, every jail's.

    names: the jails to ask; none are all that are enabled. raw: one line, or all the lines that a
    container runtime made of one. Raises Fault if it is something else.
    """
    chosen = [r for r in config.all_jails() if r.name in names] if names else config.jails
    line = _one(raw)
    sources: dict[str, list[JailSettings]] = {}
    for rules in chosen:
        sources.setdefault(rules.source, []).append(rules)
    return {
        "version": 1,
        "line": _text(raw),
        "sources": [_source(config, name, line, rules) for name, rules in sources.items()],
    }


def _one(raw: bytes) -> bytes:
    lines = [line for line in join_parts(text_of(raw.rstrip(b"\n")) + b"\n").split(b"\n") if line]
    if len(lines) != 1:
        raise Fault("--explain needs one line of a log; for more there is `mailbanned test LOG`")
    return lines[0]


def _source(config: Config, name: str, raw: bytes, jails: Sequence[JailSettings]) -> dict[str, Any]:
    """The line as one of this source."""
    zone = config.file.sources[name].timezone
    now = time.time()
    line = _parse(raw, zone, now)
    whole = raw.removesuffix(b"\r")
    overlong = len(raw) > MAX_LINE
    filters = [config.filters[one] for one in dict.fromkeys(rules.filter for rules in jails)]
    return {
        "source": name,
        "prefix": _text(whole.removesuffix(line.text)) if whole.endswith(line.text) else None,
        "at": iso(line.at),
        "assumed": _assumed(raw, line, zone, now),
        "text": _text(line.text),
        "times": line.repeats,
        "overlong": overlong,
        "suspect": None if overlong else _suspect(filters, raw),
        "filters": [] if overlong else [_filter(one, line) for one in filters],
        "jails": [
            {"name": rules.name, **_jail(rules, config.filters[rules.filter], line, overlong)}
            for rules in jails
        ],
    }  # fmt: skip


def _parse(raw: bytes, zone: tzinfo | None, now: float) -> Line:
    return Line(*LineParser(zone).parse(raw, 1, now))


def _suspect(filters: Sequence[Filter], raw: bytes) -> str | None:
    """The text for which the line looks like a failure, if it does."""
    return next((_text(s) for one in filters for s in one.suspects if s in raw), None)


def _assumed(raw: bytes, line: Line, zone: tzinfo | None, now: float) -> dict[str, Any]:
    """What the stamp does not say: the zone that it was read in, the year that was inferred."""
    found: dict[str, Any] = {}
    if line.at is None:
        return found
    when = datetime.fromtimestamp(line.at).astimezone()
    if _parse(raw, zone, now - _DECADE).at != line.at:
        found["year"] = when.year
    if _parse(raw, _ELSEWHERE, now).at != line.at:
        found["zone"] = str(zone) if zone else f"{when.tzname()}, which is this host's"
    return found


def _filter(one: Filter, line: Line) -> dict[str, Any]:
    patterns = [_pattern(pattern, line) for pattern in one.patterns]
    for deciding in (pattern for pattern in patterns if pattern["fits"]):
        deciding["decides"] = True
        break
    return {"name": one.name, "patterns": patterns}


def _pattern(pattern: Pattern, line: Line) -> dict[str, Any]:
    found = pattern.find(line)
    entry: dict[str, Any] = {"name": pattern.name, "kind": pattern.kind, "fits": found is not None}
    if found is not None:
        entry |= {"address": found.address, "user": found.user}
        if isinstance(found, Failure):
            entry |= {"session": found.session, "passdb": found.passdb}
        return entry
    stop = first_mismatch(pattern.text, line.text)
    if stop is None:
        return entry | {"fits_bytes": len(line.text), "wanted": "an address that can be read"}
    entry |= {"fits_bytes": stop.offset, "wanted": stop.expected}
    return entry | {"shown": show(stop, line.text)}


def _jail(rules: JailSettings, filter_: Filter, line: Line, overlong: bool) -> dict[str, Any]:
    if overlong:
        return {"counts": False, "verdict": f"nothing: the line has over {MAX_LINE:,} bytes"}
    found = filter_.match(line)
    nothing = _nothing(Jail(rules), found)
    if nothing or not isinstance(found, Failure):
        return {"counts": False, "verdict": f"nothing: {nothing}"}
    return {"counts": True, "verdict": _counts(Jail(rules), found)}


def _nothing(jail: Jail, found: Finding | None) -> str:
    """Why the jail does not count what was found; "" if it does."""
    if found is None:
        return "no pattern fits"
    if not isinstance(found, Failure):
        return f"{_NO_FAILURE[type(found)]} ({found.pattern})"
    if jail.subject(found.address) is None:
        return f"{found.address} is ignored"
    if not jail.accepts(found):
        if found.user is None:
            return "the line names no account"
        return f"passdb {found.passdb!r} has not the last word, {jail.settings.passdb!r} has"
    return ""


def _counts(jail: Jail, failure: Failure) -> str:
    rules, subject = jail.settings, jail.subject(failure.address)
    assert subject is not None
    unless = ""
    if failure.summary:
        unless = ", unless another line has told of the same attempt"
    if rules.unknown_accounts:
        unless += f", unless account {failure.user!r} exists"
    ban = "for ever" if rules.bantime is None else f"for {span(rules.bantime)}"
    how = f"{rules.maxretry} in {span(rules.findtime)}"
    return f"counts for {display_subject(subject)}{unless}; {how} -> banned {ban}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
