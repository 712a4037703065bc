"""required: the texts that every matching line holds, and never one more."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.filters.pattern import PrefixMatcher
from mailbanned.filters.regex import required_literals
from tests.filters.patterns import Written, shipped_file, shipped_patterns, shipped_texts, written
from tests.filters.shipped import NAMES


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("abcd", ["abcd"]),
        ("abc", []),
        ("abcd.efgh", ["abcd", "efgh"]),
        ("efgh.abcd", ["efgh", "abcd"]),
        ("abcd.abcd", ["abcd"]),
        ("abcd.xabcdx", ["xabcdx"]),
        ("", []),
        # groups
        ("a(?:bc)d", ["abcd"]),
        ("(abcd)", ["abcd"]),
        ("(?P<user>ab)(?<n>cd)", ["abcd"]),
        ("ab()(?:)cd", ["abcd"]),
        ("(?s:ab)(?s)cd", ["abcd"]),
        # repeats
        ("(?:abcd)+", ["abcd"]),
        ("(?:abcd){2,}?", ["abcd"]),
        ("xx(?:abcd)+yy", ["abcd"]),
        ("xxxx(?:abcd){1}yyyy", ["xxxx", "abcd", "yyyy"]),
        ("abcde?fghi", ["abcd", "fghi"]),
        ("abcd+e", []),
        ("(?:abcd)?", []),
        ("(?:abcd)*?", []),
        ("(?:abcd){0,5}", []),
        ("(?:(?:abcd)?efgh)+", ["efgh"]),
        ("abcd{,2}", ["abcd{,2}"]),
        ("abcd{01}", ["abcd{01}"]),
        ("abcd{100000}", ["abcd{100000}"]),
        ("abcd{0}", []),
        # what RE2 repeats may be further left
        (r"abcd\Q\E*", []),
        ("(?:abcd)(?i)?", []),
        (r"(?:abcd)+\Q\E*", []),
        (r"(?:abcd)?\Q\E+", []),
        (r"\Qabcd\E?", []),
        (r"\Qabcd\E+", ["abcd"]),
        ("abcé?", []),
        # alternatives, classes, borders
        ("abcd|abcde", []),
        ("abcd|", []),
        ("wxyz(?:abcd|efgh)stuv", ["wxyz", "stuv"]),
        ("abcd[x]efgh", ["abcd", "efgh"]),
        ("[]abcd]efgh", ["efgh"]),
        ("[^]abcd]efgh", ["efgh"]),
        (r"[\]abcd]efgh", ["efgh"]),
        ("[[:alpha:]abcd]efgh", ["efgh"]),
        ("[[:abcd]efgh", ["efgh"]),
        ("^abcd$", ["abcd"]),
        (r"abcd\befgh", ["abcd", "efgh"]),
        (r"\p{Greek}abcd\PNefgh", ["abcd", "efgh"]),
        # upper and lower case
        ("(?i)abcd", []),
        ("(?i)(?s)abcd(?:efgh)", []),
        ("(?i:abcd)efgh", ["efgh"]),
        ("((?i)abcd)efgh", ["efgh"]),
        ("(?i)abcd(?-i)efgh", ["efgh"]),
        ("(?i)abcd(?-i:efgh)", ["efgh"]),
        ("(?is)abcd(?U-i)efgh", ["efgh"]),
        ("(?:(?i)a|b)(?:abcd)", ["abcd"]),
        # escapes
        (r"a\.b\[c\]\\", "a.b[c]\\"),
        (r"\x41\x{42}\x{0043}\104\n", "ABCD\n"),
        (r"\a\f\n\r\t\v", "\a\f\n\r\t\v"),
        (r"\_\-\ \<", "_- <"),
        (r"abcd\08efgh", "abcd\x008efgh"),
        (r"ab\Q.*\Ecd", "ab.*cd"),
        (r"ab\Q(|", "ab(|"),
        ("é€", "é€"),
        (r"\xc3\xa9\303\251", "éé"),
        ("Jürgen", "Jürgen"),
    ],
)
def test_what_is_found(pattern: str, found: list[str] | str) -> None:
    """Runs of literal bytes, whatever their spelling; nothing that may be missing or differ."""
    expected = [found] if isinstance(found, str) else found
    assert required_literals(pattern) == tuple(text.encode() for text in expected)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"abcd\Q\E*", b"abc"),
        ("(?:abcd)(?i)?", b""),
        (r"(?:abcd)+\Q\E*", b""),
        (r"(?:abcd)?\Q\E+", b""),
        (r"\Qabcd\E?", b"abc"),
        ("abcé?", b"abc\xc3"),
        ("abcd{,2}", b"abcd{,2}"),
        ("abcd{01}", b"abcd{01}"),
        ("(?:(?i)a|b)(?:abcd)", b"Babcd"),
        (r"abcd\08efgh", b"abcd\x008efgh"),
        (r"ab\Q(|", b"ab(|"),
        ("[[:abcd]efgh", b":efgh"),
    ],
)
def test_re2_reads_the_rare_spellings_so(pattern: str, text: bytes) -> None:
    """What the table above takes for granted about RE2 is what it does."""
    assert PrefixMatcher(pattern).match(text) == len(text)


@given(written)
def test_no_matching_text_lacks_one(random: Written) -> None:
    """Whatever the pattern, every text that matches it holds all that is required."""
    for text in random.texts:
        assert PrefixMatcher(random.pattern).match(text) == len(text)
        assert [
            literal for literal in required_literals(random.pattern) if literal not in text
        ] == []


@settings(max_examples=30)
@given(written, written)
def test_no_literal_is_repeated(first: Written, second: Written) -> None:
    """No literal is inside another one, and none is too short."""
    found = required_literals(first.pattern + second.pattern + first.pattern)
    assert all(len(text) >= 4 for text in found)
    assert [pair for pair in permutations(found, 2) if pair[0] in pair[1]] == []


@given(st.text("ab(?:i)P<>[^]{1,}*+|\\QExp.$") | st.text())
def test_whatever_is_written_is_read(pattern: str) -> None:
    """Nobody's typing error makes it fail: to refuse a pattern is the business of RE2."""
    required_literals(pattern)


def test_deep_groups_are_read() -> None:
    """Groups as deep as RE2 lets them be are no trouble; the deepest are not looked into."""
    assert required_literals("(" * 1000 + "abcd" + ")" * 1000) == ()
    assert required_literals("(" * 50 + "abcd" + ")" * 50 + "e") == (b"abcde",)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_patterns(name: str) -> None:
    """Every hit holds what its pattern requires, and a pattern without a literal requires some."""
    texts, proven = shipped_texts(name), 0
    for pattern, table in zip(shipped_patterns(name), shipped_file(name)["patterns"], strict=True):
        found = required_literals(pattern)
        assert found or table.get("literal")
        for text in texts:
            if PrefixMatcher(pattern).match(text) == len(text):
                assert [literal for literal in found if literal not in text] == []
                proven += 1
    assert proven
