"""The status document: what `mailbanned status --json` prints, field for field."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailbanned.accounts import Accounts
from mailbanned.clock import iso
from mailbanned.config import Config
from mailbanned.daemon.firewall import FirewallManager
from mailbanned.daemon.pipeline import Core
from mailbanned.daemon.writer import Saver
from mailbanned.documents import ban_document
from mailbanned.escape import escape_control
from mailbanned.filters import FilterSet, FilterStats
from mailbanned.jails import MANUAL, JailSettings
from mailbanned.model import Ban
from mailbanned.sources import PathState, Source

VERSION = 1


@dataclass(slots=True)
class Reload:
    """How the last (re)load of the configuration went."""

    ok: bool
    at: float
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Parts:
    """What the document tells of."""

    config: Config
    loaded_at: float
    last_reload: Reload
    core: Core
    saver: Saver
    accounts: Accounts
    unasked: int
    firewall: FirewallManager
    sources: Mapping[str, Source]
    banned_before: Mapping[str, int]


def document(parts: Parts, now: float, started: float, jail: str | None = None) -> dict[str, Any]:
    """The whole status, or with `jail` only that jail among the jails."""
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "uptime_s": round(now - started, 3),
        "config": {
            "path": str(parts.config.path),
            "loaded_at": iso(parts.loaded_at),
            "last_reload": {
                "ok": parts.last_reload.ok,
                "at": iso(parts.last_reload.at),
                "errors": parts.last_reload.errors,
            },
            "hints": list(parts.config.warnings),
        },
        "firewall": _firewall(parts),
        "accounts": _accounts(parts),
        "sources": [
            _source(source, parts.core.filters.get(name)) for name, source in parts.sources.items()
        ],
        "jails": list(_jails(parts, now, jail)),
        "breaker": _breaker(parts, now),
        "reaction_ms": parts.firewall.reaction.summary(),
        "store": {"path": str(parts.config.file.store.path), "error": parts.saver.error},
    }


def _firewall(parts: Parts) -> dict[str, Any]:
    state = parts.firewall.state()
    return {
        "backend": state.backend,
        "state": state.state,
        "zone": state.zone,
        "detail": state.detail,
        "bans_in_force": state.bans_in_force,
        "pending": state.pending,
        "sessions": parts.firewall.sessions_state(),
        "interim": parts.firewall.interim_state(),
        "ineffective": parts.firewall.ineffective.document(),
    }


def _accounts(parts: Parts) -> dict[str, Any]:
    state = parts.accounts.state()
    return {
        "backend": state.backend,
        "state": state.state,
        "lookups": state.lookups,
        "failures": state.failures,
        "cached": state.cached,
        "unasked": parts.unasked,
        "last_error": state.last_error,
    }


def _breaker(parts: Parts, now: float) -> dict[str, Any]:
    state = parts.core.engine.outage_detector.state(now)
    return {
        "enabled": parts.core.engine.outage_detector.settings.enabled,
        "open": state.is_open,
        "since": iso(state.since),
        "until": iso(state.until),
        "reason": state.reason,
        "openings_total": state.outages_total,
        "suspended_total": state.suspended_total,
        "known_clients": state.known_clients,
    }


def _source(source: Source, filters: FilterSet | None) -> dict[str, Any]:
    state = source.state()
    return {
        "name": state.name,
        "kind": state.kind,
        "paths": list(state.paths),
        "state": state.state,
        "detail": state.detail,
        "lines": state.lines,
        "last_line_at": iso(state.last_line_at),
        "lag_bytes": state.lag_bytes,
        "lag_s": round(state.lag_s, 3),
        "files": [_file(one) for one in state.files],
        **(_tally(filters.stats) if filters else {}),
    }


def _file(state: PathState) -> dict[str, Any]:
    return {
        "path": state.path,
        "state": state.state,
        "inode": state.inode,
        "lag_bytes": state.lag_bytes,
        "lag_s": round(state.lag_s, 3),
        "last_line_at": iso(state.last_line_at),
    }


def _tally(tally: FilterStats) -> dict[str, Any]:
    """What the filters made of a source's lines."""
    return {
        "unmatched": {
            "count": tally.unmatched,
            "last_at": iso(tally.unmatched_at),
            "line": escape_control(tally.unmatched_line.decode("utf-8", "replace")),
        },
        "stamps": {
            "future": tally.future,
            "past": tally.past,
            "skew_s": None if tally.skew is None else round(tally.skew, 1),
        },
        "overlong": tally.overlong,
        "patterns": [
            {"rule": rule, "hits": hits.count, "last_at": iso(hits.last_at)}
            for rule, hits in tally.patterns.items()
        ],
    }


def _jails(parts: Parts, now: float, only: str | None) -> Iterable[dict[str, Any]]:
    """The configured jails in their order, then others that still hold bans; or one of them."""
    bans: dict[str, list[Ban]] = {}
    for ban in parts.core.engine.ledger:
        bans.setdefault(ban.jail, []).append(ban)
    tables = parts.config.file.jails
    for name in [*tables, *(name for name in bans if name not in tables)]:
        if only not in (None, name):
            continue
        jail = parts.core.engine.jails.get(name)
        mine = sorted(bans.get(name, ()), key=lambda ban: ban.since)
        before = parts.banned_before.get(name, 0)
        by_hand = parts.core.banned_by_hand if name == MANUAL else 0
        yield {
            "name": name,
            "enabled": jail is not None,
            "source": tables[name].source if name in tables else None,
            "failures_now": jail.windows.failures(now) if jail else 0,
            "failures_total": jail.failures_total if jail else 0,
            "ignored_total": jail.ignored_total if jail else 0,
            "suspended_total": jail.suspended_total if jail else 0,
            "forgotten_total": jail.windows.evicted if jail else 0,
            "banned_now": len(mine),
            "banned_total": before + (jail.banned_total if jail else by_hand),
            **_limits(jail.settings if jail else None),
            "bans": [ban_document(ban) for ban in mine],
        }


def _limits(rules: JailSettings | None) -> dict[str, Any]:
    if rules is None:
        return {}
    return {
        "maxretry": rules.maxretry,
        "findtime_s": rules.findtime,
        "bantime_s": rules.bantime,
    }
