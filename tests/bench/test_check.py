"""What `./dev bench --check` makes of what the benchmarks return."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.check import Verdict, check
from tests.bench.registry import Benchmark
from tests.bench.table import Found, Matrix, Row, left_out, measured


class Fake:
    """A benchmark that returns one list of rows after the other."""

    def __init__(self, *runs: Found) -> None:
        self._runs: Iterator[Found] = iter(runs)
        self.times = 0

    def __call__(self, short: bool = False) -> Found:
        assert short
        self.times += 1
        return next(self._runs)


def judged(*runs: Found) -> tuple[Verdict, int]:
    """The verdict over one benchmark, and how often it ran."""
    fake = Fake(*runs)
    return check({"name": Benchmark("Title", fake, lambda: "")}), fake.times


def ratio(number: float, key: str = "ratio") -> Row:
    return measured(key, f"  the {key}", number, "", "<= 1.3")


def test_reached() -> None:
    """Aims that are reached at once are not measured again."""
    verdict, times = judged([ratio(1.3), measured("size", "size", 149.0, "MB", "< 150 MB")])
    assert (verdict, times) == (Verdict(reached=2), 1)
    assert verdict.status(strict=True) == 0


def test_missed() -> None:
    """A ratio that is missed twice fails; benchmark, row, values and aim are named."""
    verdict, times = judged([ratio(1.4)], [ratio(1.5)])
    assert verdict.missed == ["name: the ratio (name.ratio) is 1.40, 1.50, and its aim is <= 1.3"]
    assert (verdict.status(strict=False), times) == (1, 2)


def test_median() -> None:
    """After a miss the median of three decides, for the rows that were missed."""
    others = [ratio(1.0, "other"), ratio(9.0, "other"), ratio(9.0, "other")]
    runs = [[ratio(number), other] for number, other in zip((1.4, 1.0, 1.2), others, strict=True)]
    verdict, times = judged(*runs)
    assert (verdict, times) == (Verdict(reached=2), 3)


def test_sizes() -> None:
    """A size is judged as a ratio is."""
    size = measured("size", "size", 151.0, "MB", "< 150 MB")
    verdict, _ = judged([size], [size])
    assert verdict.missed == [
        "name: size (name.size) is 151.00, 151.00 MB, and its aim is < 150 MB"
    ]


def test_times() -> None:
    """Times and rates are not judged."""
    slow = [
        measured("time", "time", 99.0, "ms", "<= 5 ms"),
        measured("rate", "rate", 9.0, "/s", ">= 1,000/s"),
        measured("cpu", "CPU", 9.0, "% CPU", "<= 0.5 % CPU"),
    ]
    assert judged(slow) == (Verdict(), 1)


def test_matrix() -> None:
    """The figures of a matrix are judged as well."""
    matrix = [Matrix((), (), [ratio(2.0)])]
    assert len(judged(matrix, matrix)[0].missed) == 1


def test_no_key() -> None:
    """An aim that no program can read is a failure."""
    verdict, _ = judged([Row("the ratio", "1.00", "<= 1.3")])
    assert verdict.missed == ["name: 'the ratio' has an aim but no key and number"]


def test_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be measured is said, and is a failure in CI."""
    fake = Fake()
    verdict = check({"name": Benchmark("Title", fake, lambda: "it needs root")})
    assert (verdict, fake.times) == (Verdict(left_out=["name: it needs root"]), 0)
    assert (verdict.status(strict=False), verdict.status(strict=True)) == (0, 1)
    verdict.show(strict=True)
    assert "NOT CHECKED (a failure in CI): name: it needs root" in capsys.readouterr().out
    verdict, _ = judged([left_out("ratio", "the ratio", "", "<= 1.3", "no fail2ban")])
    assert verdict == Verdict(left_out=["name: the ratio: no fail2ban"])


def test_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that breaks is a failure, and the next ones are judged all the same."""

    def broken(short: bool = False) -> Found:
        raise LookupError("oh")

    reached = Benchmark("Title", Fake([ratio(1.0)]), lambda: "")
    verdict = check({"broken": Benchmark("Title", broken, lambda: ""), "name": reached})
    assert verdict.missed == ["broken: did not come to its end: LookupError('oh')"]
    assert verdict.reached == 1
    assert "LookupError" in capsys.readouterr().err
