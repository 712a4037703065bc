"""The shipped filters: their samples, and what they say about each other's lines."""

from __future__ import annotations

import pytest

from mailbanned.filters import problems
from tests.filters.shipped import FOLDER, NAMES, failures, found, shipped

THIRD_PARTY = "198.51.100.7"
STAMP = b"May  1 06:43:08 mx "
FEWEST_MISSES = 10
MOST_SEARCHES = {"postfix": 7, "dovecot": 4, "sshd": 8}


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
    assert problems(shipped(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_pattern_has_a_hit_of_its_own(name: str) -> None:
    """No pattern is unproven: each is the one that reports some hit, its literal found first."""
    lines = [sample.line for sample in shipped(name).samples if sample.matches]
    rules = {failure.rule for failure in failures(b"\n".join(lines), name)}
    assert rules == {pattern.rule for pattern in shipped(name).patterns}


@pytest.mark.parametrize("name", NAMES)
def test_misses_are_plenty_and_the_limits_are_told(name: str) -> None:
    """A filter shows what it leaves alone, and its file opens with words for its owner."""
    misses = [sample for sample in shipped(name).samples if not sample.matches]
    assert len(misses) >= FEWEST_MISSES
    head = (FOLDER / f"{name}.toml").read_text().split("\n\ndescription")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "Known limit" in head


@pytest.mark.parametrize("name", NAMES)
def test_samples_hold_in_a_block_among_all_filters(name: str) -> None:
    """Read as one log by all filters at once, the samples of a filter get the same verdicts."""
    samples = shipped(name).samples
    block = b"".join(sample.line + b"\n" for sample in samples)
    reported = {
        f.number: (str(f.address), f.user) for f in failures(block) if f.rule.split("/")[0] == name
    }
    assert reported == {
        number: (sample.address, sample.user)
        for number, sample in enumerate(samples, start=1)
        if sample.matches
    }


def test_no_filter_ever_reports_the_third_party() -> None:
    """In all samples of all files, no filter reports the address that a client smuggled in."""
    block = b"".join(s.line + b"\n" for name in NAMES for s in shipped(name).samples)
    assert THIRD_PARTY.encode() in block
    assert all(str(failure.address) != THIRD_PARTY for failure in failures(block))


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
    assert len({p.literal for name in names for p in shipped(name).patterns}) <= most
