"""first_mismatch and show: where a line stops matching a pattern."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.filters import PatternError
from mailbanned.filters.diagnose import END, Mismatch, first_mismatch, show
from mailbanned.filters.pattern import PrefixMatcher, expand_placeholders
from tests.filters.patterns import Written, shipped_patterns, shipped_texts, written
from tests.filters.shipped import NAMES

FAILED = r"(?:sshd\[\d+\]: )(?:Failed (?:password|none) for <USER> from <ADDR> port \d+(?: ssh2)?)"


@pytest.mark.parametrize(
    ("fits", "rest", "wanted"),
    [
        ("", "kernel: sshd[7]: Failed", r"sshd\["),
        ("sshd[", "]: Failed", r"\d+"),
        ("sshd[7]: ", "Accepted password", "Failed "),
        ("sshd[7]: Failed ", "publickey for bob", "(?:password|none)"),
        ("sshd[7]: Failed none ", "", "for "),
        ("sshd[7]: Failed none for bob", "", " from "),
        ("sshd[7]: Failed none for bob from ", "mx.example.net port 22", "<ADDR>"),
        ("sshd[7]: Failed none for bob from 192.0.2.1", ", port 22", " port "),
        ("sshd[7]: Failed none for bob from 192.0.2.1 port ", "x", r"\d+"),
        ("sshd[7]: Failed none for bob from 192.0.2.1 port 22", " ssh", END),
        ("sshd[7]: Failed none for bob from 192.0.2.1 port 22 ssh2", " [preauth]", END),
    ],
)
def test_a_line_of_sshd(fits: str, rest: str, wanted: str) -> None:
    """The place is where the first word that differs begins, and the rest of the text is wanted."""
    assert first_mismatch(expand_placeholders(FAILED), (fits + rest).encode()) == Mismatch(
        len(fits), wanted
    )


@pytest.mark.parametrize(
    ("pattern", "fits", "rest", "wanted"),
    [
        # alternatives
        ("ab|cd", "", "x", "ab or cd"),
        ("abc|a+d", "a", "x", "d"),
        ("a (?:b c|d e|b f) g", "a b ", "x", "c or f"),
        ("a (?:b c|d e|b f) g", "a d ", "x", "e"),
        ("a (?:b c|d e|b f) g", "a ", "x", "(?:b c|d e|b f)"),
        ("a (?:b c|d e|b f) g", "a b f ", "x", "g"),
        ("a (?:b (?:c d|e) f|g) h", "a b c ", "e", "d"),
        ("a (?:b c d|b e|f) g", "a b c ", "x", "d"),
        ("a.*(?:b c|d e)", "axb ", "x", "c"),
        ("a (b c) d", "a ", "x", "b c"),
        ("(?:a|bc)+d", "abca", "x", "d"),
        ("(?:a.b){3}", "axb", "y", "(?:a.b){3}"),
        # flags
        ("(?i)failed for", "FAILED ", "at", "for"),
        ("a (?i:failed for)", "a FAILED ", "at", "for"),
        ("(?i:a)(?:b (?-i)c d|e F g)", "Ae F ", "x", "g"),
        ("(?:a(?i)b|cd e) f", "CD ", "x", "e"),
        # spellings
        (r"\[x\] \x41b", "[x", ")", r"\] \x41b"),
        (r"a\Qb.c\Ed", "a", "b", r"\Qb.c\Ed"),
        ("Jürgen war", "Jürgen ", "ist", "war"),
        ("Jürgen", "", "Jörgen", "Jürgen"),
        ("a.*(?P<user>b c)d", "axb ", "x", "c"),
        # repeats, the end
        ("ab+c", "abb", "d", "c"),
        ("ab{2}c", "a", "b", "b{2}"),
        ("a$", "a", "b", END),
        (r"(?:a\z)", "a", "b", END),
        ("(?:a$|b)c", "a", "c", END),
        ("a", "a", "a", END),
        ("", "", "a", END),
        ("a.*", "a", "\nb", END),
    ],
)
def test_where_a_text_stops(pattern: str, fits: str, rest: str, wanted: str) -> None:
    """The mismatch is in the alternative that matches furthest, in the syntax of the pattern."""
    assert first_mismatch(pattern, (fits + rest).encode()) == Mismatch(len(fits.encode()), wanted)


def test_what_is_wanted_is_kept_short() -> None:
    """A long node is shortened; after a text of several nodes nothing else is expected."""
    stop = first_mismatch("(?:" + "|".join(["abcdefgh"] * 20) + ")", b"x")
    assert stop is not None
    assert stop.expected.startswith("(?:abcdefgh|abcdefgh")
    assert stop.expected.endswith("…")
    assert len(stop.expected) <= 60
    stop = first_mismatch("|".join(f"for {number * 11}" for number in range(10, 99)), b"for me")
    assert stop is not None
    assert stop.expected.startswith("110 or 121 or ")
    assert len(stop.expected) <= 60
    assert first_mismatch("for me [0-9]+ times", b"for you") == Mismatch(4, "me ")


def test_a_broken_pattern_is_refused() -> None:
    """What RE2 does not understand has no place where it stops."""
    with pytest.raises(PatternError):
        first_mismatch("a(b", b"a")


def test_deep_groups_are_no_trouble() -> None:
    """A pattern of nothing but groups, as deep as RE2 takes it, still has an answer."""
    stop = first_mismatch("(?:" * 900 + "ab" + ")" * 900, b"x")
    assert stop is not None
    assert stop.offset == 0


@given(st.lists(st.sampled_from(["Failed", "for", "[", "]:", "a.b", "é"]), min_size=1), st.data())
def test_the_word_that_differs_is_found(words: list[str], data: st.DataObject) -> None:
    """In a text of words the place is the start of the one that is another."""
    at = data.draw(st.integers(0, len(words) - 1))
    pattern = " ".join(word.replace(".", r"\.").replace("[", r"\[") for word in words)
    fits = "".join(word + " " for word in words[:at])
    stop = first_mismatch(pattern, " ".join([*words[:at], "!", *words[at + 1 :]]).encode())
    assert stop is not None
    assert stop.offset == len(fits.encode())


@settings(max_examples=60)
@given(written, st.binary(max_size=5))
def test_only_what_matches_has_no_place(random: Written, more: bytes) -> None:
    """None means that the whole text fits; otherwise there is a place in it, and a wish."""
    for text in random.texts:
        assert first_mismatch(random.pattern, text) is None
        for other in (text + more, text[: len(text) // 2] + more):
            stop = first_mismatch(random.pattern, other)
            assert (stop is None) == (PrefixMatcher(random.pattern).match(other) == len(other))
            assert stop is None or (0 <= stop.offset <= len(other) and stop.expected)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_patterns(name: str) -> None:
    """A hit has no place where it stops; one that is cut off stops no later than it ends."""
    proven = 0
    for pattern in shipped_patterns(name):
        for text in shipped_texts(name):
            if PrefixMatcher(pattern).match(text) != len(text):
                continue
            assert first_mismatch(pattern, text) is None
            proven += 1
            stop = first_mismatch(pattern, text[: len(text) // 2])
            assert stop is None or stop.offset <= len(text) // 2
    assert proven


@pytest.mark.parametrize(
    ("text", "at", "lines"),
    [
        (b"from mx", 5, ["from mx", "     ^ fits up to here; wanted: `<ADDR>`"]),
        (b"", 0, ["", "^ fits up to here; wanted: `<ADDR>`"]),
        (b"a\x1b[m\xe9", 4, [r"a\x1b[m\xe9", "       ^ fits up to here; wanted: `<ADDR>`"]),
    ],
)  # fmt: skip
def test_show_points_at_the_place(text: bytes, at: int, lines: list[str]) -> None:
    """The caret is below the first byte that does not match, after escapes, too."""
    assert show(Mismatch(at, "<ADDR>"), text).split("\n") == lines


def test_show_leaves_out_what_is_far_away() -> None:
    """Of a long line the part round the place is shown, and marked where it is cut."""
    line, caret = show(Mismatch(500, END), b"a" * 470 + b"b" * 60 + b"a" * 470).split("\n")
    assert line == "…" + "a" * 18 + "b" * 60 + "a" * 18 + "…"
    assert caret.index("^") == 49
    assert show(Mismatch(48, END), b"a" * 48 + b"b" * 48).startswith("a" * 48 + "b" * 48 + "\n")


def test_show_names_the_end_and_escapes_the_pattern() -> None:
    """The end of the line is no piece of a pattern; what is, is printable."""
    assert show(Mismatch(1, END), b"ab").endswith("wanted: the end of the line")
    assert show(Mismatch(1, "\tx\n"), b"ab").endswith(r"wanted: `\tx\n`")


@given(st.binary(max_size=300), st.integers(0, 300))
def test_show_fits_a_terminal(text: bytes, at: int) -> None:
    """Two lines of printable ASCII (but for the marks of what is left out), neither too long."""
    at = min(at, len(text))
    line, caret = show(Mismatch(at, END), text).split("\n")
    assert len(line) <= 100
    assert all(" " <= char <= "~" for char in line.strip("…"))
    place = caret.index("^")
    assert _whole(text[:at]).endswith(line[:place].removeprefix("…"))
    assert _whole(text[at:]).startswith(line[place:].removesuffix("…"))


def _whole(text: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in text)
