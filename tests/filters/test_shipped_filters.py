"""The shipped filters: their samples, and what they say about each other's lines."""

from __future__ import annotations

from datetime import UTC

import pytest

from mailbanned.filters import FilterSet, FilterStats, run_samples
from mailbanned.logformat.syslog import LineParser
from mailbanned.model import Line
from tests.filters.shipped import FOLDER, NAMES, NOW, failures, filter_set, found, shipped

THIRD_PARTY = "198.51.100.7"
STAMP = b"May  1 06:43:08 mx "
FEWEST_MISSES = 10
MOST_SEARCHES = {"postfix": 8, "dovecot": 11, "sshd": 9}


def test_there_is_a_filter_for_each_jail() -> None:
    """These filters ship, and no other."""
    assert NAMES == (
        "dovecot",
        "dovecot-unknown",
        "postfix",
        "postfix-rcpt-unknown",
        "postfix-sasl",
        "sshd",
        "sshd-unknown",
    )


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_as_they_should_be(name: str) -> None:
    """Every hit reports its address and user, every miss reports nothing."""
    assert run_samples(shipped(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_has_a_hit_of_its_own(name: str) -> None:
    """No pattern is unproven: each is the one that reports some hit, its literal found first."""
    stats = FilterStats()
    filters = FilterSet([shipped(name)], LineParser(UTC), stats)
    lines = [sample.line for sample in shipped(name).samples if sample.kind]
    list(filters.read(b"\n".join(lines), NOW))
    assert [rule for rule, hits in stats.patterns.items() if not hits.count] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_miss_is_unmatched(name: str) -> None:
    """No miss looks like an unknown failure: each matches a pattern, or holds no suspect text."""
    noted: list[Line] = []
    filters = FilterSet([shipped(name)], LineParser(UTC))
    misses = [s.line for s in shipped(name).samples if not s.kind and b"hostile" not in s.line]
    list(filters.read(b"\n".join(misses), NOW, on_unmatched=noted.append))
    assert noted == []


@pytest.mark.parametrize("name", NAMES)
def test_misses_are_plenty_and_the_limits_are_told(name: str) -> None:
    """A filter shows what it leaves alone, and its file opens with words for its owner."""
    misses = [sample for sample in shipped(name).samples if not sample.kind]
    assert len(misses) >= FEWEST_MISSES
    head = (FOLDER / f"{name}.toml").read_text().split("\n\ndescription")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "Known limit" in head


@pytest.mark.parametrize("name", NAMES)
def test_samples_hold_in_a_block_among_all_filters(name: str) -> None:
    """Read as one log by all filters at once, the samples of a filter get the same verdicts."""
    samples = shipped(name).samples
    expected, block = {}, b""
    for sample in samples:
        block += sample.line.rstrip(b"\n") + b"\n"
        if sample.kind == "failure":
            expected[block.count(b"\n")] = (sample.address, sample.user)
    reported = {
        f.number: (f.address, f.user) for f in failures(block) if f.pattern.split("/")[0] == name
    }
    assert reported == expected


def test_no_filter_ever_reports_the_third_party() -> None:
    """In all samples of all files, no filter reports the address that a client smuggled in."""
    block = b"".join(s.line + b"\n" for name in NAMES for s in shipped(name).samples)
    assert THIRD_PARTY.encode() in block
    assert all(failure.address != THIRD_PARTY for failure in failures(block))


REJECT = "postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[203.0.113.5]:"
END = "from=<> to=<a@b.example> proto=ESMTP helo=<x>"
WORKER = "dovecot: auth-worker(7): sql(bob,203.0.113.5,<Yk3d>):"
SSHD = "sshd-session[7]:"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"{REJECT} 550 5.1.1 <a@b.example>: Recipient address rejected: User unknown; {END}",
         {"postfix-rcpt-unknown"}),
        (f"{REJECT} 454 4.7.1 <a@b.example>: Relay access denied; {END}", {"postfix"}),
        ("postfix/smtpd[1]: warning: x[203.0.113.5]: SASL LOGIN authentication failed: "
         "(reason unavailable), sasl_username=bob", {"postfix-sasl"}),
        (f"{WORKER} unknown user", {"dovecot", "dovecot-unknown"}),
        (f"{WORKER} Password mismatch", {"dovecot"}),
        (f"{SSHD} Invalid user bob from 203.0.113.5 port 1", {"sshd", "sshd-unknown"}),
        (f"{SSHD} Failed password for invalid user bob from 203.0.113.5 port 1 ssh2", {"sshd"}),
    ],
)  # fmt: skip
def test_a_line_counts_where_it_belongs(text: str, verdict: set[str]) -> None:
    """One failure counts in its own jail, and in the strict one beside it, but nowhere else."""
    assert found(STAMP + text.encode()) == dict.fromkeys(verdict, "203.0.113.5")


@pytest.mark.parametrize(("service", "most"), MOST_SEARCHES.items())
def test_a_log_is_searched_for_few_texts(service: str, most: int) -> None:
    """The filters of a service share literals: each costs a search of the whole log."""
    names = [name for name in NAMES if name.split("-")[0] == service]
    assert len(filter_set(*names).searched) <= most
