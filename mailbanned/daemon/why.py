"""Why an address is banned, or not: everything that is known of it, as one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailbanned.address import (
    SHORTEST_PREFIX,
    Network,
    Subject,
    display_subject,
    network_of,
    overlap,
)
from mailbanned.clock import iso
from mailbanned.daemon.recent_lines import Trace
from mailbanned.documents import ban_document
from mailbanned.escape import escape_control
from mailbanned.model import Ban
from mailbanned.store import Past

if TYPE_CHECKING:
    from mailbanned.daemon.daemon import Daemon

_MOST = 5


async def why(daemon: Daemon, network: Network) -> dict[str, Any]:
    """The document that `mailbanned why --json` prints. Raises StoreError."""
    engine, now = daemon.engine, daemon.clock.now()
    traces = daemon.core.evidence.of(network)
    past = await daemon.store.past(_around(network))
    bans = [ban for ban in engine.ledger if overlap(network_of(ban.subject), network)]
    ignored = engine.ignored(network, daemon.config.file.defaults.ignore)
    return {
        "version": 1,
        "address": display_subject(Subject(str(network))),
        "ignored": None if ignored is None else str(ignored),
        "bans": [_ban(daemon, ban) for ban in bans],
        "counting": _counting(daemon, network, now),
        "users": list(dict.fromkeys(trace.failure.user for trace in traces if trace.failure.user)),
        "lines": [_line(trace) for trace in traces],
        "before": {
            "bans": sum(1 for one in past if not _holds(one, bans)),
            "last": [_past(one) for one in past if not _holds(one, bans)][-_MOST:],
        },
    }


def _around(network: Network) -> list[Subject]:
    """The network, and all that it is a part of."""
    shortest = min(SHORTEST_PREFIX[network.version], network.prefixlen)
    lengths = range(shortest, network.prefixlen + 1)
    return [Subject(str(network.supernet(new_prefix=length))) for length in lengths]


def _ban(daemon: Daemon, ban: Ban) -> dict[str, Any]:
    return ban_document(ban) | {
        "subject": ban.subject,
        "in_force_since": iso(daemon.firewall.in_force_since(ban.subject)),
        "kept_out_since": iso(daemon.firewall.interim_in_force_since(ban.subject)),
    }


def _counting(daemon: Daemon, network: Network, now: float) -> list[dict[str, Any]]:
    """What has been counted and has not led to a ban (yet)."""
    found = []
    for name, jail in daemon.engine.jails.items():
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


def _line(trace: Trace) -> dict[str, Any]:
    failure = trace.failure
    return {
        "at": iso(trace.at),
        "source": trace.source,
        "rule": failure.pattern,
        "user": failure.user,
        "text": escape_control(trace.text.decode("utf-8", "replace")),
    }


def _holds(one: Past, bans: list[Ban]) -> bool:
    """Whether this is a ban that still holds."""
    return any((one.subject, one.jail, one.since) == (b.subject, b.jail, b.since) for b in bans)


def _past(one: Past) -> dict[str, Any]:
    return {
        "subject": one.subject,
        "jail": one.jail,
        "since": iso(one.since),
        "until": iso(one.until),
        "failures": one.failures,
        "reason": one.reason,
        "ended": iso(one.ended),
        "how": one.how,
    }
