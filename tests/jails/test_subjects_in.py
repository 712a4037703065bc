"""Known: everybody in a network who is banned or has failed, found by whatever size he has."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from mailbanned.address import Network, network_of, overlap
from mailbanned.jails import Engine
from tests.jails.support import fail, rules

ADDRESSES = st.sampled_from(
    ["192.0.2.1", "192.0.2.2", "192.0.3.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "::9:1"]
)
NETWORKS = st.one_of(
    ADDRESSES.map(ip_network),
    st.sampled_from(["192.0.2.0/24", "192.0.2.2/31", "2001:db8::/32", "2001:db8::/65", "::/0"]).map(
        ip_network
    ),
)


@given(st.lists(st.tuples(ADDRESSES, st.integers(1, 4))), st.lists(NETWORKS), st.lists(NETWORKS))
def test_as_a_look_at_everybody_would_find(
    failures: list[tuple[str, int]], banned: list[Network], asked: list[Network]
) -> None:
    """Those who meet one of the networks, each once: counted by /64, by /128, or banned whole."""
    engine = Engine([rules("wide"), rules("narrow", ipv6_prefix=128, maxretry=5)])
    for address, times in failures:
        fail(engine, *[1.0] * times, address=address)
    for network in banned:
        engine.ban(network, 1.0, None)
    windows = [jail.windows for jail in engine.jails.values()]
    everybody = {*engine.ledger.subjects()}
    for every in ("0.0.0.0/0", "::/0"):
        everybody |= {who for one in windows for who in one.subjects_in(ip_network(every))}
    found = engine.subjects_in(asked)
    assert len(found) == len(set(found))
    assert set(found) == {
        who for who in everybody if any(overlap(network_of(who), n) for n in asked)
    }
