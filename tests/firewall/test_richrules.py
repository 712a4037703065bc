"""Subjects to rich rules and back: ours come back equal, those of others are never ours."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mailbanned.address import Subject, require_bannable, subject_of
from mailbanned.firewall import FirewallRefused
from mailbanned.firewall.richrules import RichRule, Verdict, is_recognisable, parse, render

VERDICTS: list[Verdict] = ["drop", "reject"]
verdicts = st.sampled_from(VERDICTS)


def _round_trip(subject: Subject, verdict: Verdict) -> None:
    try:
        text = render(RichRule(subject, verdict))
    except FirewallRefused:
        assume(False)
    assert parse(text) == (subject, verdict)


@given(st.ip_addresses(v=4), verdicts)
def test_ipv4_addresses_come_back(address: IPv4Address, verdict: Verdict) -> None:
    """Any IPv4 address that may be banned is read back from its own rule."""
    subject = subject_of(str(address))
    _round_trip(subject, verdict)
    assert is_recognisable(subject)


@given(st.integers(0x2 << 124, (0x4 << 124) - 1), st.integers(16, 128), verdicts)
@example(0x20010DB8 << 96, 64, "drop")
def test_ipv6_prefixes_come_back(number: int, length: int, verdict: Verdict) -> None:
    """Any global IPv6 prefix that may be banned is read back from its own rule."""
    _round_trip(Subject(str(IPv6Network((number, length), strict=False))), verdict)


def test_the_form_is_that_of_firewalld() -> None:
    """The text is exactly what firewalld prints back, with the prefix written out."""
    host, prefix = Subject("192.0.2.7/32"), Subject("2001:db8::/64")
    assert render(RichRule(host, "drop")) == 'rule family="ipv4" source address="192.0.2.7/32" drop'
    text = 'rule family="ipv6" source address="2001:db8::/64" reject'
    assert render(RichRule(prefix, "reject")) == text


FOREIGN = [
    'rule family="ipv4" source address="192.0.2.7" drop',
    'rule family="ipv4" source address="192.0.2.7/32" accept',
    'rule family="ipv4" source NOT address="192.0.2.7/32" drop',
    'rule family="ipv4" source address="192.0.2.7/32" service name="ssh" drop',
    'rule family="ipv4" source address="192.0.2.7/32" port port="22" protocol="tcp" drop',
    'rule family="ipv4" source address="192.0.2.7/32" log prefix="x" drop',
    'rule family="ipv4" source address="192.0.2.7/32" audit drop',
    'rule family="ipv4" source address="192.0.2.7/32" drop limit value="1/m"',
    'rule family="ipv4" source address="192.0.2.7/32" reject type="icmp-host-prohibited"',
    'rule family="ipv4" source address="192.0.2.7/32" destination address="192.0.2.8" drop',
    'rule family="ipv4" source ipset="bad/32" drop',
    'rule priority="-1" family="ipv4" source address="192.0.2.7/32" drop',
    'rule family="ipv4" source address="192.0.2.7/255.255.255.255" drop',
    'rule family="ipv4" source address="192.0.2.7/032" drop',
    'rule family="ipv4" source address="192.0.2.7/24" drop',
    'rule family="ipv4" source address="0.0.0.0/0" drop',
    'rule family="ipv4" source address="127.0.0.1/32" drop',
    'rule family="ipv4" source address="2001:db8::1/128" drop',
    'rule family="ipv6" source address="192.0.2.7/32" drop',
    'rule family="ipv6" source address="2001:db8::1" drop',
    'rule family="ipv6" source address="2001:DB8::1/128" drop',
    'rule family="ipv6" source address="2001:db8:0::1/128" drop',
    'rule family="ipv6" source address="2001:db8::1/64" drop',
    'rule family="ipv4" source address="192.0.2.7/32" drop\n',
    ' rule family="ipv4" source address="192.0.2.7/32" drop',
    'rule family="ipv4" source address="192.0.2.7/32"',
    'rule service name="ssh" drop',
    "",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_rules_of_others_are_not_ours(text: str) -> None:
    """A rule that differs from our form in any way is not ours."""
    assert parse(text) is None


@given(st.text(max_size=120))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """Whatever firewalld prints is either a rule of ours, which prints as it was, or foreign."""
    rule = parse(text)
    assert rule is None or render(rule) == text


@pytest.mark.parametrize("subject", ["192.0.2.0/24", "2001:db8::/48", "2001:db8::/65"])
def test_a_network_that_an_administrator_may_write_is_not_recognisable(subject: Subject) -> None:
    """Only /32, /128 and /64, which need not be written out, prove that a rule is ours."""
    assert require_bannable(subject)
    assert not is_recognisable(subject)
