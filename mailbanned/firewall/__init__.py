"""Bans -> dropped packets: firewall backends, the enforcer that keeps them right, and the cut.

    bans --Enforcer--> Firewall: firewalld, nftables or dry-run
              |------> Interim: keeps the banned out until firewalld has their rules
              '------> Sessions: ends what the banned still have open

A new backend is one file with a class like `DryRun`, one line in `BACKENDS`, and one line in the
shared contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailbanned.firewall.base import Firewall, FirewallDown, FirewallRefused, FirewallState, Listed
from mailbanned.firewall.dryrun import DryRun
from mailbanned.firewall.enforcer import Enforcer
from mailbanned.firewall.firewalld import Firewalld
from mailbanned.firewall.interim import Interim, NoInterim
from mailbanned.firewall.nftables import Nftables
from mailbanned.firewall.richrules import Verdict
from mailbanned.firewall.sessions import Sessions

#: Name in the configuration -> maker, given the zone ("" finds it out) and the verdict.
BACKENDS: Mapping[str, Callable[[str, Verdict], Firewall]] = {
    "firewalld": Firewalld,
    "nftables": lambda _zone, verdict: Nftables(verdict),
    "dry-run": lambda _zone, _verdict: DryRun(),
}

__all__ = [
    "BACKENDS",
    "DryRun",
    "Enforcer",
    "Firewall",
    "FirewallDown",
    "FirewallRefused",
    "FirewallState",
    "Firewalld",
    "Interim",
    "Listed",
    "Nftables",
    "NoInterim",
    "Sessions",
    "Verdict",
]
