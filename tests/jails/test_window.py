"""Windows: an exact count within findtime, and no more memory than that needs."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbanned.address import Subject
from mailbanned.jails import SlidingWindows

ONE, OTHER = Subject("192.0.2.1/32"), Subject("192.0.2.2/32")
EVERYBODY = ip_network("0.0.0.0/0"), ip_network("::/0")
# Whole numbers, small against findtime, so that failures often lie exactly on the edge.
FINDTIME = 10.0
# Two that are kept compactly after their first failure, and two that are not.
WHO = ONE, Subject("2001:db8::/64"), Subject("2001:db8::1/128"), Subject("2001:db8::/48")
MAXRETRY = st.integers(1, 5)
STEPS = st.lists(st.integers(0, 12), min_size=1, max_size=60)


def naive(times: list[float], maxretry: int) -> int:
    """All failures ever seen, counted anew: those within findtime of the newest."""
    newest = max(times)
    return min(maxretry, sum(1 for at in times if at > newest - FINDTIME))


@given(MAXRETRY, STEPS)
def test_exact_in_order(maxretry: int, steps: list[int]) -> None:
    """Failures in order of time are counted exactly, up to maxretry."""
    windows, seen = SlidingWindows(FINDTIME, maxretry), list[float]()
    for at in accumulate(steps):
        seen.append(float(at))
        assert windows.add(ONE, float(at)) == naive(seen, maxretry)


@given(MAXRETRY, st.lists(st.integers(0, 40).map(float), min_size=1, max_size=60))
def test_exact_out_of_order(maxretry: int, times: list[float]) -> None:
    """Failures whose times jump back and forth are counted as if they had come in order."""
    windows, seen = SlidingWindows(FINDTIME, maxretry), list[float]()
    for at in times:
        seen.append(at)
        assert windows.add(ONE, at) == naive(seen, maxretry)
        kept = windows.times(ONE)
        assert list(kept) == sorted(seen)[-len(kept) :]


@given(MAXRETRY, st.lists(st.tuples(st.sampled_from(WHO), st.integers(0, 12)), max_size=80))
def test_subjects_do_not_touch_each_other(maxretry: int, steps: list[tuple[Subject, int]]) -> None:
    """Each subject's count is the one that it would have alone, also when it had gone quiet."""
    windows, seen, now = SlidingWindows(FINDTIME, maxretry), dict[Subject, list[float]](), 0.0
    for who, step in steps:
        now += step
        seen.setdefault(who, []).append(now)
        assert windows.add(who, now) == naive(seen[who], maxretry)


def test_the_window_is_half_open() -> None:
    """A failure counts while it is younger than findtime, and no more when it is as old."""
    windows = SlidingWindows(FINDTIME, 5)
    windows.add(ONE, 100.0)
    assert windows.add(ONE, 109.999) == 2
    assert windows.add(OTHER, 100.0) == 1
    assert windows.add(OTHER, 110.0) == 1


def test_failures_counts_with_the_same_edge() -> None:
    """failures(now) counts all subjects' failures, those exactly findtime old no more."""
    windows = SlidingWindows(FINDTIME, 5)
    windows.add(ONE, 100.0)
    windows.add(OTHER, 105.0)
    assert windows.failures(105.0) == 2
    assert windows.failures(110.0) == 1
    assert windows.failures(115.0) == 0


@given(MAXRETRY, st.lists(st.integers(0, 10**6).map(float), max_size=200))
def test_memory_of_a_subject_is_bounded(maxretry: int, times: list[float]) -> None:
    """However often somebody fails, no more than maxretry times are kept."""
    windows = SlidingWindows(1e9, maxretry)
    for at in times:
        windows.add(ONE, at)
        assert len(windows.times(ONE)) <= maxretry


def prefix(number: int) -> Subject:
    """One of many subjects of a size that is not common."""
    return Subject(f"2001:db8:{number:x}::/48")


def known(windows: SlidingWindows) -> list[Subject]:
    """Everybody with a failure on record."""
    return [who for network in EVERYBODY for who in windows.subjects_in(network)]


@pytest.mark.parametrize("times", [1, 2])
def test_quiet_subjects_are_dropped(times: int) -> None:
    """A wave of visitors leaves as fast as another one comes in, whatever is counted of them."""
    windows = SlidingWindows(FINDTIME, 3)
    for number in range(1000):
        for _ in range(times):
            windows.add(prefix(number), 0.0)
    for number in range(1000, 1500):
        windows.add(prefix(number), FINDTIME)
    left = known(windows)
    assert len(left) == 500
    assert min(left) == prefix(1000)


def test_the_lively_are_not_dropped() -> None:
    """A subject that came first but failed again just now stays, and holds up no quiet ones."""
    windows = SlidingWindows(FINDTIME, 5)
    first, *quiet = [prefix(number) for number in range(11)]
    windows.add(first, 0.0)
    for other in quiet:
        windows.add(other, 0.0)
    windows.add(first, 9.0)
    others = [prefix(number) for number in range(20, 25)]
    for other in others:
        windows.add(other, 12.0)
    assert known(windows) == [first, *others]
    assert windows.times(first) == (0.0, 9.0)
    assert windows.add(first, 12.0) == 2


def test_the_repeaters_are_bounded() -> None:
    """Of very many that failed several times, those quiet for longest make way, and are counted."""
    windows = SlidingWindows(1e6, 5, max_repeaters=10)
    for number in range(15):
        windows.add(prefix(number), float(number))
        windows.add(prefix(number), float(number))
    assert known(windows) == [prefix(number) for number in range(5, 15)]
    assert windows.evicted == 5


def test_forget() -> None:
    """What is forgotten counts no more; forgetting says whether there was anything."""
    windows = SlidingWindows(FINDTIME, 5)
    windows.add(ONE, 1.0)
    windows.add(OTHER, 1.0)
    windows.changed.clear()
    windows.forget(ONE)
    assert windows.changed == {ONE}
    windows.changed.clear()
    windows.forget(ONE)
    assert not windows.changed
    assert windows.add(ONE, 2.0) == 1
    assert windows.add(OTHER, 2.0) == 2


def test_restore_takes_up_the_count() -> None:
    """What was put back counts with what comes, in any order and no more than maxretry."""
    windows = SlidingWindows(FINDTIME, 3)
    windows.restore(ONE, (3.0, 1.0, 2.0, 0.0))
    assert windows.times(ONE) == (1.0, 2.0, 3.0)
    windows.restore(OTHER, ())
    assert known(windows) == [ONE]
    assert windows.add(ONE, 10.0) == 3
    assert windows.add(ONE, 12.5) == 3
    assert windows.add(ONE, 30.0) == 1


def test_resize_keeps_what_fits() -> None:
    """New limits keep the newest failures that they allow, and count by the new findtime."""
    windows = SlidingWindows(FINDTIME, 5)
    for at in (1.0, 2.0, 3.0, 4.0):
        windows.add(ONE, at)
    windows.resize(100.0, 2)
    assert windows.times(ONE) == (3.0, 4.0)
    windows.resize(100.0, 10)
    assert windows.add(ONE, 90.0) == 3
    windows.resize(1.0, 10)
    assert windows.add(ONE, 90.5) == 2
