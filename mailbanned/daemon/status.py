"""The status document: what `mailbanned status --json` prints, field for field."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from mailbanned.clock import iso
from mailbanned.daemon.services import Services
from mailbanned.documents import ban_document
from mailbanned.escape import escape_control
from mailbanned.filters import FilterSet, FilterStats
from mailbanned.jails import MANUAL, JailSettings
from mailbanned.model import Ban
from mailbanned.sources import PathState, Source

VERSION = 1


def status_document(services: Services, jail: str | None = None) -> dict[str, Any]:
    """Returns the whole status, or with `jail` only that jail among the jails."""
    now = services.clock.now()
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "uptime_s": round(now - services.started, 3),
        "config": {
            "path": str(services.config.path),
            "loaded_at": iso(services.loaded_at),
            "last_reload": {
                "ok": services.last_reload.ok,
                "at": iso(services.last_reload.at),
                "errors": services.last_reload.errors,
            },
            "hints": list(services.config.warnings),
        },
        "firewall": _firewall(services),
        "accounts": _accounts(services),
        "sources": [
            _source(source, services.pipeline.filters.get(name))
            for name, source in services.sources.sources.items()
        ],
        "jails": list(_jails(services, now, jail)),
        "breaker": _breaker(services, now),
        "reaction_ms": services.firewall.reaction.summary(),
        "store": {"path": str(services.config.file.store.path), "error": services.writer.error},
    }


def _firewall(services: Services) -> dict[str, Any]:
    state = services.firewall.state()
    return {
        "backend": state.backend,
        "state": state.state,
        "zone": state.zone,
        "detail": state.detail,
        "bans_in_force": state.bans_in_force,
        "pending": state.pending,
        "sessions": services.firewall.sessions_state(),
        "interim": services.firewall.interim_state(),
        "ineffective": services.firewall.ineffective.document(),
    }


def _accounts(services: Services) -> dict[str, Any]:
    state = services.account_checker.accounts.state()
    return {
        "backend": state.backend,
        "state": state.state,
        "lookups": state.lookups,
        "failures": state.failures,
        "cached": state.cached,
        "unasked": services.account_checker.dropped,
        "last_error": state.last_error,
    }


def _breaker(services: Services, now: float) -> dict[str, Any]:
    state = services.engine.outage_detector.state(now)
    return {
        "enabled": services.engine.outage_detector.settings.enabled,
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
        "files": [_file(file) for file in state.files],
        **(_filter_stats(filters.stats) if filters else {}),
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


def _filter_stats(stats: FilterStats) -> dict[str, Any]:
    """Returns what the filters found in a source's lines."""
    return {
        "unmatched": {
            "count": stats.unmatched,
            "last_at": iso(stats.unmatched_at),
            "line": escape_control(stats.unmatched_line.decode("utf-8", "replace")),
        },
        "stamps": {
            "future": stats.future,
            "past": stats.past,
            "skew_s": None if stats.skew is None else round(stats.skew, 1),
        },
        "overlong": stats.overlong,
        "patterns": [
            {"rule": rule, "hits": hits.count, "last_at": iso(hits.last_at)}
            for rule, hits in stats.patterns.items()
        ],
    }


def _jails(services: Services, now: float, only: str | None) -> Iterable[dict[str, Any]]:
    """Yields the configured jails in their order, then others that still have bans; or one jail."""
    bans: dict[str, list[Ban]] = {}
    for ban in services.engine.ledger:
        bans.setdefault(ban.jail, []).append(ban)
    tables = services.config.file.jails
    for name in [*tables, *(name for name in bans if name not in tables)]:
        if only not in (None, name):
            continue
        jail = services.engine.jails.get(name)
        mine = sorted(bans.get(name, ()), key=lambda ban: ban.since)
        before = services.banned_before.get(name, 0)
        by_hand = services.pipeline.banned_by_hand if name == MANUAL else 0
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
