"""Bans to dropped packets: firewall backends, and the enforcer that reconciles them with the bans.

    bans --Enforcer--> Firewall: firewalld, nftables or dry-run
              |------> Interim: drops packets until firewalld has the rule
              '------> Sessions: ends the connections that are still open

A new backend is one file with a class like `DryRun`, one line in `BACKENDS`, and one line in the
shared contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailbanned.firewall.base import Firewall, FirewallDown, FirewallRefused, FirewallState, Listed
from mailbanned.firewall.dryrun import DryRun
from mailbanned.firewall.enforcer import Enforcer, InForce
from mailbanned.firewall.firewalld import Firewalld
from mailbanned.firewall.interim import Interim, NoInterim
from mailbanned.firewall.nftables import Nftables
from mailbanned.firewall.richrules import Verdict
from mailbanned.firewall.sessions import Sessions

#: Name in the configuration -> factory, given the zone ("" finds it out) and the verdict.
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
    "InForce",
    "Interim",
    "Listed",
    "Nftables",
    "NoInterim",
    "Sessions",
    "Verdict",
]
