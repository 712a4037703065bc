"""Subjects to firewalld rich rules and back; says which rules are ours.

firewalld keeps the text of an address as it was given, and its rules have no owner field. So a
written-out prefix length marks a rule as ours: people need not write /32, /128 or /64 by hand.
Other prefixes are what an administrator would write for a network, so their text proves nothing.

Known limits: a rule that an administrator writes in exactly our form is taken for ours.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from mailbanned.address import Subject
from mailbanned.firewall.base import FirewallRefused, network_to_ban

Verdict = Literal["drop", "reject"]

# The form in which firewalld prints rules back; it is also the form in which we send them.
_FORM = 'rule family="ipv{version}" source address="{subject}" {verdict}'
_OURS = re.compile(
    r'rule family="ipv[46]" source address="([0-9a-f.:]{2,39}/[0-9]{1,3})" (drop|reject)'
)


class RichRule(NamedTuple):
    """A rich rule of our form."""

    subject: Subject
    verdict: Verdict


def render(rule: RichRule) -> str:
    """Returns the rule's text. Raises FirewallRefused if the subject must not be banned."""
    version = network_to_ban(rule.subject).version
    return _FORM.format(version=version, subject=rule.subject, verdict=rule.verdict)


def parse(text: str) -> RichRule | None:
    """Returns the rule of our form that firewalld prints as `text`, None for any other rule."""
    match = _OURS.fullmatch(text)
    if match is None:
        return None
    rule = RichRule(Subject(match[1]), "drop" if match[2] == "drop" else "reject")
    try:
        return rule if render(rule) == text else None
    except FirewallRefused:
        return None


def is_recognisable(subject: Subject) -> bool:
    """Whether the text of a rule for this subject alone proves that the rule is ours."""
    network = network_to_ban(subject)
    return network.prefixlen in ((32,) if network.version == 4 else (64, 128))
