"""Pattern: what a filter file may write, and what it then means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailbanned.filters import Finding, Ignored, Pattern, PatternError
from mailbanned.model import Failure, Line, LoginSucceeded, OutageReported

TAG = r"sshd\[\d+\]: "


def pattern(match: str, tag: str = "", **options: Any) -> Pattern:
    return Pattern("own", "one", literal="from", match=match, tag=tag, **options)


def find(own: Pattern, text: bytes) -> tuple[str | None, str | None] | None:
    """Address and user that a pattern reads from a text."""
    found = own.find(Line(1, None, text))
    return None if found is None else (found.address, found.user)


def test_the_whole_text_must_fit() -> None:
    """A pattern is anchored at both ends, and the tag precedes it."""
    own = pattern("bad from <ADDR>", tag=TAG)
    assert find(own, b"sshd[1]: bad from 203.0.113.5") == ("203.0.113.5", None)
    assert find(own, b"x sshd[1]: bad from 203.0.113.5") is None
    assert find(own, b"sshd[1]: bad from 203.0.113.5 port 1") is None
    assert find(own, b"bad from 203.0.113.5") is None


def test_alternatives_stay_inside_tag_and_match() -> None:
    """A bare `|` in the match does not cut the tag or the anchors off."""
    own = pattern("b|a from <ADDR>", tag=TAG)
    assert find(own, b"sshd[1]: a from 203.0.113.5") is not None
    assert find(own, b"a from 203.0.113.5") is None


@pytest.mark.parametrize("user", ["<USER>", "<F-USER>.*</F-USER>"])
@pytest.mark.parametrize("address", ["<ADDR>", "<HOST>"])
def test_both_spellings_mean_the_same(user: str, address: str) -> None:
    """fail2ban's spellings of address and user are understood."""
    own = pattern(f"user {user} from {address}")
    assert find(own, b"user bob from 2001:db8::5") == ("2001:db8::5", "bob")


def test_a_user_pattern_may_be_narrow() -> None:
    """The name must match what is between <F-USER> and </F-USER>."""
    own = pattern("user <F-USER>[a-z]+</F-USER> from <ADDR>")
    assert find(own, b"user bob from 203.0.113.5") is not None
    assert find(own, b"user b b from 203.0.113.5") is None


def test_greedy_takes_the_last_and_lazy_the_first() -> None:
    """Of several readings the leftmost preference holds, in short lines and in long ones."""
    last = pattern("<USER> from <ADDR>")
    first = pattern("from <ADDR>.*?, user=<USER>")
    for size in (1, 100, 3000):
        fill = b"x" * size
        line = fill + b" from 198.51.100.7" + fill + b" from 203.0.113.5"
        user = fill + b" from 198.51.100.7" + fill
        assert find(last, line) == ("203.0.113.5", user.decode())
        line = b"from 203.0.113.5" + fill + b", user=a" + fill + b", user=b"
        user = b"a" + fill + b", user=b"
        assert find(first, line) == ("203.0.113.5", user.decode())


@pytest.mark.parametrize("name", [b"", b"(unavailable)", b"?"])
def test_what_stands_for_no_name_is_no_name(name: bytes) -> None:
    """Servers' words for a missing name are not taken for an account."""
    assert find(pattern("<USER> from <ADDR>"), name + b" from 203.0.113.5") == (
        "203.0.113.5",
        None,
    )


def test_a_name_may_be_any_bytes() -> None:
    """NUL and what is no UTF-8 neither disturb the match nor raise."""
    own = pattern("<USER> from <ADDR>")
    assert find(own, b"a\0b\xff\xfe from 203.0.113.5") == (
        "203.0.113.5",
        "a\0b\ufffd\ufffd",
    )
    assert find(own, "J\u00fcrgen\u2028 from 203.0.113.5".encode()) == (
        "203.0.113.5",
        "J\u00fcrgen\u2028",
    )


@pytest.mark.parametrize(
    "address",
    [b"1.2.3", b"1.2.3.4.5", b"01.2.3.4", b"256.1.1.1", b"fe80::1%eth0", b"dead.beef", b"::g", b"",
     "\u0661.2.3.4".encode()],
)  # fmt: skip
def test_what_is_no_address_does_not_match(address: bytes) -> None:
    """A text that only looks like an address is no failure, and no error."""
    assert find(pattern("from <ADDR>"), b"from " + address) is None


def test_an_ipv4_address_in_ipv6_clothing_is_the_ipv4_address() -> None:
    """::ffff:a.b.c.d is reported as a.b.c.d."""
    assert find(pattern("from <ADDR>"), b"from ::ffff:203.0.113.5") == (
        "203.0.113.5",
        None,
    )


@pytest.mark.parametrize(
    ("mail", "fits"),
    [
        (b"<bob@example.org>", True),
        (b"<>", True),
        (b'<"a b> from 198.51.100.7 <"@example.org>', True),
        (rb'<"a\"> from 198.51.100.7 <\""@example.org>', True),
        (b"<a> from 198.51.100.7 <b>", False),
        (b'<"a>', False),
    ],
)
def test_mail_is_one_address_with_its_quotes(mail: bytes, fits: bool) -> None:
    """<MAIL> steps over quoted text as a whole and ends at the bracket that closes it."""
    own = pattern("<MAIL> from <ADDR>")
    expected = ("203.0.113.5", None) if fits else None
    assert find(own, mail + b" from 203.0.113.5") == expected


@pytest.mark.parametrize(
    ("kind", "event"),
    [("ignore", Ignored), ("success", LoginSucceeded), ("outage", OutageReported)],
)
def test_other_kinds_are_events_of_their_own(kind: str, event: Callable[..., Finding]) -> None:
    """A line that is no failure is reported by the type of its kind, with its address."""
    found = pattern("<USER> from <ADDR>", kind=kind).find(Line(7, 1.5, b"bob from 203.0.113.5"))
    assert (type(found), found) == (event, event(7, 1.5, "203.0.113.5", "bob", "own/one"))


@pytest.mark.parametrize(("kind", "event"), [("ignore", Ignored), ("outage", OutageReported)])
def test_a_line_about_the_server_needs_no_address(kind: str, event: Callable[..., Finding]) -> None:
    """What a server reports of itself names no client."""
    found = pattern("no news from it", kind=kind).find(Line(7, None, b"no news from it"))
    assert (type(found), found) == (event, event(7, None, None, None, "own/one"))


def test_session_passdb_and_repeats_are_reported() -> None:
    """A failure carries the server's name of the session, the database that refused, and how often
    the line was written; empty ones are none.
    """
    own = pattern(r"<PASSDB>\w*</PASSDB>\[<SESSION>\d*</SESSION>\] from <ADDR>", summary=True)
    found = own.find(Line(7, None, b"sql[77] from 203.0.113.5", 3))
    assert found == Failure(7, None, "203.0.113.5", None, "own/one", True, "77", "sql", 3)
    found = own.find(Line(7, None, b"[] from 203.0.113.5"))
    assert found == Failure(7, None, "203.0.113.5", None, "own/one", True, None, None, 1)


def test_literals_are_found_in_the_pattern() -> None:
    """Without a given one, the longest text that every match contains; never one of the tag."""
    own = Pattern("own", "one", match=r"bad login of <USER> from <ADDR>", tag=r"program\[\d+\]: ")
    assert own.literals == (b"bad login of ", b" from ")
    own = Pattern("own", "one", match=r"(?:a|b) <ADDR>", tag=r"program\[\d+\]: ")
    assert own.literals[0] == b"program["


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"match": "no address"}, "has no <ADDR>"),
        ({"match": "no address", "kind": "success"}, "has no <ADDR>"),
        ({"match": "<ADDR>|x <HOST>"}, "is there twice"),
        ({"match": "<ADDR> <USER> <USER>"}, "is there twice"),
        ({"match": "<ADDR> <NAME>"}, "unknown tag <NAME>"),
        ({"match": "<ADDR>(?=x)"}, "not a valid RE2 pattern"),
        ({"match": r"<ADDR> (a)\1"}, "not a valid RE2 pattern"),
        ({"match": "<ADDR> ("}, "not a valid RE2 pattern"),
        ({"match": "<ADDR>", "tag": "["}, "not a valid RE2 pattern"),
        ({"match": "<ADDR> <SESSION>"}, "are not paired"),
        ({"match": "<ADDR>", "literal": ""}, "no text of 4 bytes"),
        ({"match": "<ADDR>", "literal": "fro"}, "too short"),
    ],
)
def test_a_bad_pattern_says_why(arguments: dict[str, Any], reason: str) -> None:
    """What cannot be used is refused at once, with its reason."""
    with pytest.raises(PatternError, match=reason):
        Pattern("own", "one", **{"literal": "from", **arguments})


def test_an_alternative_without_the_address_is_no_failure() -> None:
    """If the matching alternative has no address, there is no failure."""
    assert find(pattern("from <ADDR>|from nobody"), b"from nobody") is None
