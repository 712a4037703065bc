"""Why an address is banned, or not: everything the daemon knows about it, as one document."""

from __future__ import annotations

from typing import Any

from mailbanned.address import (
    SHORTEST_PREFIX,
    Network,
    Subject,
    display_subject,
    network_of,
    overlap,
)
from mailbanned.clock import iso
from mailbanned.daemon.recent_lines import LineSeen
from mailbanned.daemon.services import Services
from mailbanned.documents import ban_document
from mailbanned.escape import escape_control
from mailbanned.model import Ban
from mailbanned.store import PastBan

_MAX_PAST_BANS = 5


async def why(services: Services, network: Network) -> dict[str, Any]:
    """Returns the document that `mailbanned why --json` prints. Raises StoreError."""
    engine, now = services.engine, services.clock.now()
    lines_seen = services.pipeline.recent_lines.within(network)
    past = await services.store.past_bans(_enclosing_networks(network))
    bans = [ban for ban in engine.ledger if overlap(network_of(ban.subject), network)]
    ignored = engine.ignored(network, services.config.file.defaults.ignore)
    return {
        "version": 1,
        "address": display_subject(Subject(str(network))),
        "ignored": None if ignored is None else str(ignored),
        "bans": [_ban(services, ban) for ban in bans],
        "counting": _counting(services, network, now),
        "users": list(dict.fromkeys(line.failure.user for line in lines_seen if line.failure.user)),
        "lines": [_line(line) for line in lines_seen],
        "before": {
            "bans": sum(1 for ban in past if not _is_active(ban, bans)),
            "last": [_past(ban) for ban in past if not _is_active(ban, bans)][-_MAX_PAST_BANS:],
        },
    }


def _enclosing_networks(network: Network) -> list[Subject]:
    """Returns the network and all bannable networks that contain it."""
    shortest = min(SHORTEST_PREFIX[network.version], network.prefixlen)
    lengths = range(shortest, network.prefixlen + 1)
    return [Subject(str(network.supernet(new_prefix=length))) for length in lengths]


def _ban(services: Services, ban: Ban) -> dict[str, Any]:
    return ban_document(ban) | {
        "subject": ban.subject,
        "in_force_since": iso(services.firewall.in_force_since(ban.subject)),
        "kept_out_since": iso(services.firewall.interim_in_force_since(ban.subject)),
    }


def _counting(services: Services, network: Network, now: float) -> list[dict[str, Any]]:
    """Returns the failures that count and have not led to a ban."""
    found = []
    for name, jail in services.engine.jails.items():
        for subject in jail.windows.subjects_in(network):
            times = jail.windows.times(subject)
            recent = [at for at in times if at > now - jail.settings.findtime]
            if recent:
                found.append(
                    {
                        "jail": name,
                        "subject": subject,
                        "failures": len(recent),
                        "maxretry": jail.settings.maxretry,
                        "last": iso(recent[-1]),
                    }
                )
    return found


def _line(line: LineSeen) -> dict[str, Any]:
    failure = line.failure
    return {
        "at": iso(line.at),
        "source": line.source,
        "rule": failure.pattern,
        "user": failure.user,
        "text": escape_control(line.text.decode("utf-8", "replace")),
    }


def _is_active(past: PastBan, bans: list[Ban]) -> bool:
    """Whether a ban of the history is one of the active ones."""
    key = (past.subject, past.jail, past.since)
    return any(key == (ban.subject, ban.jail, ban.since) for ban in bans)


def _past(ban: PastBan) -> dict[str, Any]:
    return {
        "subject": ban.subject,
        "jail": ban.jail,
        "since": iso(ban.since),
        "until": iso(ban.until),
        "failures": ban.failures,
        "reason": ban.reason,
        "ended": iso(ban.ended),
        "how": ban.end_reason,
    }
