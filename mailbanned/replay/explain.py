"""Explains step by step what becomes of one log line: the work of `mailbanned test --explain`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from mailbanned.address import display_subject
from mailbanned.clock import format_duration, iso
from mailbanned.config import Config
from mailbanned.filters import Filter, Finding, Ignored, Pattern
from mailbanned.filters.diagnose import first_mismatch, show
from mailbanned.filters.filterset import MAX_LINE
from mailbanned.jails import Jail, JailSettings
from mailbanned.logformat.messages import join_parts
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Failure, Line, LoginSucceeded, OutageReported
from mailbanned.replay.reader import ReplayError, decode_journal

# An incomplete timestamp has another value in another time zone, or in another decade.
_OTHER_ZONE = timezone(timedelta(hours=13, minutes=7))
_DECADE_S = 3653 * 86400.0

_NO_FAILURE = {
    Ignored: "a line that is known to be no failure",
    LoginSucceeded: "a good login",
    OutageReported: "a sign that the login backend is down",
}


def explain(config: Config, names: Sequence[str], raw: bytes) -> dict[str, Any]:
    """A document: the parsed line, the verdict of every pattern, and that of every jail.

    names: jails to ask; none: all that are enabled. raw: one line, or all the lines into which a
    container runtime split one. Raises ReplayError if it is anything else.
    """
    chosen = [r for r in config.all_jails() if r.name in names] if names else config.jails
    line = _single_line(raw)
    sources: dict[str, list[JailSettings]] = {}
    for rules in chosen:
        sources.setdefault(rules.source, []).append(rules)
    return {
        "version": 1,
        "line": _text(raw),
        "sources": [_explain_source(config, name, line, jails) for name, jails in sources.items()],
    }


def _single_line(raw: bytes) -> bytes:
    messages = join_parts(decode_journal(raw.rstrip(b"\n")) + b"\n").split(b"\n")
    lines = [message for message in messages if message]
    if len(lines) != 1:
        raise ReplayError(
            "--explain needs one line of a log; for more there is `mailbanned test LOG`"
        )
    return lines[0]


def _explain_source(
    config: Config, name: str, raw: bytes, jails: Sequence[JailSettings]
) -> dict[str, Any]:
    """The line as one of this source."""
    zone = config.file.sources[name].timezone
    now = time.time()
    line = _parse(raw, zone, now)
    message = raw.removesuffix(b"\r")
    overlong = len(raw) > MAX_LINE
    filters = [config.filters[each] for each in dict.fromkeys(rules.filter for rules in jails)]
    prefix = message.removesuffix(line.text) if message.endswith(line.text) else None
    return {
        "source": name,
        "prefix": None if prefix is None else _text(prefix),
        "at": iso(line.at),
        "assumed": _assumptions(raw, line, zone, now),
        "text": _text(line.text),
        "times": line.repeats,
        "overlong": overlong,
        "suspect": None if overlong else _suspect(filters, raw),
        "filters": [] if overlong else [_explain_filter(filter_, line) for filter_ in filters],
        "jails": [
            {
                "name": rules.name,
                **_explain_jail(rules, config.filters[rules.filter], line, overlong),
            }
            for rules in jails
        ],
    }


def _parse(raw: bytes, zone: tzinfo | None, now: float) -> Line:
    return Line(*LineParser(zone).parse(raw, 1, now))


def _suspect(filters: Sequence[Filter], raw: bytes) -> str | None:
    """The text that makes the line look like a failure, if there is one."""
    suspects = (suspect for filter_ in filters for suspect in filter_.suspects)
    return next((_text(suspect) for suspect in suspects if suspect in raw), None)


def _assumptions(raw: bytes, line: Line, zone: tzinfo | None, now: float) -> dict[str, Any]:
    """What the timestamp leaves out: the assumed time zone and the inferred year."""
    assumed: dict[str, Any] = {}
    if line.at is None:
        return assumed
    local = datetime.fromtimestamp(line.at).astimezone()
    if _parse(raw, zone, now - _DECADE_S).at != line.at:
        assumed["year"] = local.year
    if _parse(raw, _OTHER_ZONE, now).at != line.at:
        assumed["zone"] = str(zone) if zone else f"{local.tzname()}, which is this host's"
    return assumed


def _explain_filter(filter_: Filter, line: Line) -> dict[str, Any]:
    patterns = [_explain_pattern(pattern, line) for pattern in filter_.patterns]
    for pattern in patterns:
        if pattern["fits"]:
            pattern["decides"] = True
            break
    return {"name": filter_.name, "patterns": patterns}


def _explain_pattern(pattern: Pattern, line: Line) -> dict[str, Any]:
    match = pattern.find(line)
    entry: dict[str, Any] = {"name": pattern.name, "kind": pattern.kind, "fits": match is not None}
    if match is not None:
        entry |= {"address": match.address, "user": match.user}
        if isinstance(match, Failure):
            entry |= {"session": match.session, "passdb": match.passdb}
        return entry
    mismatch = first_mismatch(pattern.text, line.text)
    if mismatch is None:
        return entry | {"fits_bytes": len(line.text), "wanted": "an address that can be read"}
    entry |= {"fits_bytes": mismatch.offset, "wanted": mismatch.expected}
    return entry | {"shown": show(mismatch, line.text)}


def _explain_jail(
    rules: JailSettings, filter_: Filter, line: Line, overlong: bool
) -> dict[str, Any]:
    if overlong:
        return {"counts": False, "verdict": f"nothing: the line has over {MAX_LINE:,} bytes"}
    match = filter_.match(line)
    reason = _reason_not_to_count(Jail(rules), match)
    if reason or not isinstance(match, Failure):
        return {"counts": False, "verdict": f"nothing: {reason}"}
    return {"counts": True, "verdict": _counting_verdict(Jail(rules), match)}


def _reason_not_to_count(jail: Jail, match: Finding | None) -> str:
    """Why the jail does not count the match; "" if it does."""
    if match is None:
        return "no pattern fits"
    if not isinstance(match, Failure):
        return f"{_NO_FAILURE[type(match)]} ({match.pattern})"
    if jail.subject(match.address) is None:
        return f"{match.address} is ignored"
    if not jail.accepts(match):
        if match.user is None:
            return "the line names no account"
        return f"passdb {match.passdb!r} has not the last word, {jail.settings.passdb!r} has"
    return ""


def _counting_verdict(jail: Jail, failure: Failure) -> str:
    """For which subject the jail counts the failure, under which condition, and its limits."""
    rules, subject = jail.settings, jail.subject(failure.address)
    assert subject is not None
    unless = ""
    if failure.summary:
        unless = ", unless another line has reported the same attempt"
    if rules.unknown_accounts:
        unless += f", unless account {failure.user!r} exists"
    ban = "for ever" if rules.bantime is None else f"for {format_duration(rules.bantime)}"
    limit = f"{rules.maxretry} in {format_duration(rules.findtime)}"
    return f"counts for {display_subject(subject)}{unless}; {limit} -> banned {ban}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
