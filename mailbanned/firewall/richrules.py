"""Subjects to firewalld rich rules and back; says which subjects may be banned and which rules
are ours.

firewalld keeps the text of an address as it was given, and its rules have no owner field. So a
written-out prefix length marks a rule as ours: nobody needs to write /32, /128 or /64 by hand.
Other prefixes are what an administrator would write for a network, so their text proves nothing.

Known limit: a rule that an administrator writes in exactly our form is taken for ours.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Literal, NamedTuple

from mailbanned.address import Network, Subject
from mailbanned.firewall.base import FirewallRefused

Verdict = Literal["drop", "reject"]

# The form in which firewalld prints rules back; it is also the form in which we send them.
_FORM = 'rule family="ipv{version}" source address="{subject}" {verdict}'
_OURS = re.compile(
    r'rule family="ipv[46]" source address="([0-9a-f.:]{2,39}/[0-9]{1,3})" (drop|reject)'
)

# One slip of a hand must not ban a large part of the internet.
_SHORTEST = {4: 8, 6: 16}


def _span(network: Network) -> tuple[int, int]:
    """The first and the last address, as numbers."""
    first = int(
        network.network_address
    )  # `overlaps` and `broadcast_address` take ten times as long
    return first, first + (1 << (network.max_prefixlen - network.prefixlen)) - 1


# No rule can or should stop these: they never reach the host from outside, or are the host.
# IPv4 addresses in IPv6 clothing (::ffff:0:0/96) are never on the wire.
_UNBANNABLE = tuple(
    (network, *_span(network))
    for network in map(
        ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4"),
            *("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"),
        ),
    )
)


class Rule(NamedTuple):
    """A rich rule of our form."""

    subject: Subject
    verdict: Verdict


def _parse(subject: Subject) -> Network:
    """As ip_network, but as fast as thousands of bans at once need it. Raises OSError, too."""
    address, _, length = subject.partition("/")
    if ":" in address:
        return IPv6Network((inet_pton(AF_INET6, address), int(length)))
    return IPv4Network((inet_pton(AF_INET, address), int(length)))


def bannable(subject: Subject) -> Network:
    """The subject's network. Raises FirewallRefused, with the reason, if it must not be banned."""
    try:
        network = _parse(subject)
    except (OSError, ValueError) as error:
        raise FirewallRefused(f"{subject} is no network: {error}") from None
    if str(network) != subject:
        raise FirewallRefused(f"{subject} is not in canonical form: {network}")
    if network.prefixlen < _SHORTEST[network.version]:
        raise FirewallRefused(f"{subject} is too large a network to be banned")
    first, last = _span(network)
    for special, lowest, highest in _UNBANNABLE:
        if first <= highest and lowest <= last and special.version == network.version:
            raise FirewallRefused(f"{subject} holds addresses of {special}, which no ban can stop")
    return network


def render(rule: Rule) -> str:
    """The rich rule's text. Raises FirewallRefused if the subject must not be banned."""
    version = bannable(rule.subject).version
    return _FORM.format(version=version, subject=rule.subject, verdict=rule.verdict)


def parse(text: str) -> Rule | None:
    """The rule of our form that firewalld prints as `text`, None for any other rule."""
    match = _OURS.fullmatch(text)
    if match is None:
        return None
    rule = Rule(Subject(match[1]), "drop" if match[2] == "drop" else "reject")
    try:
        return rule if render(rule) == text else None
    except FirewallRefused:
        return None


def is_marked(subject: Subject) -> bool:
    """Whether the text of a rule for this subject alone proves that the rule is ours."""
    network = bannable(subject)
    return network.prefixlen in ((32,) if network.version == 4 else (64, 128))
