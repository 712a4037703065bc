"""Durations, networks and time zones as people write them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailbanned.configtypes import is_name, parse_bantime, parse_duration, parse_network, parse_zone

SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
CENTURY = 100 * 365 * 86400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90), (1.5, 1.5), ("90", 90), ("1.5", 1.5), ("90s", 90), ("15m", 900), ("1h", 3600),
        ("24h", 86400), ("7d", 604800), ("2w", 1209600), ("1d12h", 129600), ("1d 12h", 129600),
        ("500ms", 0.5), ("1s500ms", 1.5), ("1.5h", 5400), (" 1 H ", 3600), ("36500d", CENTURY),
    ],
)  # fmt: skip
def test_durations(value: object, seconds: float) -> None:
    """Numbers are seconds; units s m h d w (and ms) are understood and added up."""
    assert parse_duration(value) == seconds
    assert type(parse_duration(value)) is float


@pytest.mark.parametrize(
    "value",
    ["", " ", "h", "1x", "1h30", "30 1h", "-1h", "+1h", "1,5h", "1e3", "0x10", "one hour", "1hh",
     "\u0661h", "inf", "nan", "1h\n2x", True, False, None, [], {}, b"1h"],
)  # fmt: skip
def test_no_durations(value: object) -> None:
    """Anything else is refused with how to write it."""
    with pytest.raises(ValueError, match=r"^is not a duration; write it like 90, '90s', "):
        parse_duration(value)


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "0s", "0d0h", float("inf"), float("nan"), CENTURY + 1, "101w 5200w", "9" * 400,
     10**400, -(10**400), "9" * 400 + "w"],
)  # fmt: skip
def test_durations_out_of_bounds(value: object) -> None:
    """A duration is longer than 0 and no longer than a century, however it is written."""
    with pytest.raises(ValueError, match=r"^must be longer than 0 and at most a century; "):
        parse_duration(value)


@given(st.dictionaries(st.sampled_from("wdhms"), st.integers(0, 99), min_size=1))
@example({"s": 1})
def test_combined_durations_add_up(parts: dict[str, int]) -> None:
    """Any combination of units is the sum of its parts."""
    total = sum(number * SECONDS[unit] for unit, number in parts.items())
    text = "".join(f"{number}{unit}" for unit, number in parts.items())
    if total:
        assert parse_duration(text) == total
    else:
        with pytest.raises(ValueError, match="longer than 0"):
            parse_duration(text)


@given(st.text() | st.integers() | st.floats() | st.booleans())
def test_any_value_is_a_duration_or_an_error(value: object) -> None:
    """Whatever a file says, it is a usable number of seconds or a ValueError."""
    try:
        seconds = parse_duration(value)
    except ValueError:
        return
    assert 0 < seconds <= CENTURY


@pytest.mark.parametrize("value", ["permanent", -1, "-1", -1.0])
def test_permanent(value: object) -> None:
    """A ban time of "permanent" or -1 has no end."""
    assert parse_bantime(value) is None


@pytest.mark.parametrize("value", ["forever", "", -2, 0, True, "Permanent", None])
def test_no_bantimes(value: object) -> None:
    """A ban time that is neither is refused, and "permanent" is among what may be written."""
    with pytest.raises(ValueError, match=r", or 'permanent'$"):
        parse_bantime(value)


def test_bantime_is_a_duration() -> None:
    """Any duration is a ban time."""
    assert parse_bantime("7d") == 604800
    assert parse_bantime(600) == 600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks(text: str, expected: str) -> None:
    """An address is a network of its own; host bits of a network are cut off."""
    assert parse_network(text) == ip_network(expected)
    assert ip_address(text.strip().partition("/")[0]) in parse_network(text)


@pytest.mark.parametrize("value", ["", "host", "192.0.2", "192.0.2.1/33", "192.0.2.256", 7, None])
def test_no_networks(value: object) -> None:
    """Anything else is refused with examples; a bare number is no address."""
    with pytest.raises(
        ValueError, match=r"^is not an address or network; write it like '192\.0\.2\.7"
    ):
        parse_network(value)


def test_zones() -> None:
    """A time zone is known by its IANA name."""
    assert parse_zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("value", ["", "Mars/Base", "../../etc/passwd", "Europe", "/etc", "\0", 3])
def test_no_zones(value: object) -> None:
    """What names no zone is refused, paths and folders of zones included."""
    with pytest.raises(ValueError, match="is not a known time zone; use an IANA name"):
        parse_zone(value)


@pytest.mark.parametrize("name", ["sshd", "postfix-sasl-unknown", "a.b_c-9", "9", "x" * 64])
def test_names(name: str) -> None:
    """Letters, digits and a few signs make a name."""
    assert is_name(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "-a", ".a", "x" * 65, "\u00e9", "a\n", "a\x1b", 3]
)
def test_no_names(name: object) -> None:
    """Nothing that could leave its folder, break a log line or look like an option is a name."""
    assert not is_name(name)
