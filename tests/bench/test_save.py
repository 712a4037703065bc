"""What `./dev bench --save` writes, and when it refuses to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.checkout import Unclean, commit
from tests.bench.registry import Benchmark
from tests.bench.save import run_and_save
from tests.bench.table import Curve, Found, Matrix, Plot, left_out, measured


def git(top: Path, *arguments: str) -> str:
    """What git says in a folder, with a name of its own and no settings of this host's user."""
    settings = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(top), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A checkout of one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code").write_text("first")
    git(folder, "add", "code")
    git(folder, "commit", "-q", "-m", "First")
    return folder


class Fake:
    """Returns a ratio, a matrix and a plot; fails as often as it is asked to."""

    def __init__(self, failures: int = 0) -> None:
        self.times, self._failures = 0, failures

    def __call__(self, short: bool = False) -> Found:
        assert not short
        self.times += 1
        if self.times <= self._failures:
            raise LookupError("oh")
        row = measured("ratio", "  ratio", 1.25, "", "<= 1.3", "a | b")
        slow = measured("p50", "p50", 12.34, "ms", "<= 5 ms")
        figure = measured("a.one", "one", 0.5, "s")
        plot = Plot([Curve("ours", [0.1, 0.2])], 2)
        return [row, slow, Matrix(("", "one"), [("a", "0.5 s")], [figure]), plot]


def save(top: Path, *fakes: Fake, resume: bool = False) -> None:
    """A complete run of benchmarks called b0, b1, ..."""
    benchmarks = {f"b{n}": Benchmark(f"Title {n}", fake, str) for n, fake in enumerate(fakes)}
    run_and_save(benchmarks, resume=resume, top=top, kept=top.parent / "kept")


def test_written(top: Path) -> None:
    """Every figure has its key, number, unit and kind; all are of the commit that is named."""
    save(top, Fake())
    document = json.loads((top / "docs/benchmarks/results.json").read_text())
    assert document["commit"] == git(top, "rev-parse", "HEAD")
    assert document["figures"] == [
        {
            "key": "b0.ratio",
            "number": 1.25,
            "unit": "",
            "kind": "ratio",
            "what": "ratio",
            "aim": "<= 1.3",
            "met": True,
            "note": "a | b",
        },
        {
            "key": "b0.p50",
            "number": 12.34,
            "unit": "ms",
            "kind": "time",
            "what": "p50",
            "aim": "<= 5 ms",
            "met": False,
            "note": "",
        },
        {
            "key": "b0.a.one",
            "number": 0.5,
            "unit": "s",
            "kind": "time",
            "what": "one",
            "aim": "",
            "met": None,
            "note": "",
        },
    ]
    text = (top / "docs/benchmarks/results.md").read_text()
    assert "## Title 0" in text
    assert "| ratio | 1.25 | <= 1.3 | a / b | `b0.ratio` |" in text
    assert "| p50 | 12.3 ms | <= 5 ms, missed |  | `b0.p50` |" in text
    assert "| a | 0.5 s |" in text
    assert "ours" in (top / "docs/benchmarks/wave.svg").read_text()


@pytest.mark.parametrize("name", ["code", "new"])
def test_changes(name: str, top: Path) -> None:
    """With changes that are not committed nothing runs, for no commit would have the results."""
    (top / name).write_text("second")
    fake = Fake()
    with pytest.raises(Unclean, match=name):
        save(top, fake)
    assert fake.times == 0
    assert not (top / "docs").exists()


def test_earlier_results(top: Path) -> None:
    """What an earlier run has written is no obstacle."""
    save(top, Fake())
    save(top, Fake())
    assert commit(top) == git(top, "rev-parse", "HEAD")


def test_changes_meanwhile(top: Path) -> None:
    """Results are not written if the checkout changed while they were measured."""

    def changes(short: bool = False) -> Found:
        (top / "code").write_text("second")
        return Fake()()

    with pytest.raises(Unclean, match="code"):
        run_and_save(
            {"b0": Benchmark("Title", changes, str)},
            resume=False,
            top=top,
            kept=top.parent / "kept",
        )
    assert not (top / "docs").exists()


def test_left_out(top: Path) -> None:
    """Results that lack something are not written."""

    def lacks(short: bool = False) -> Found:
        return [left_out("ratio", "the ratio", "", "<= 1.3", "no fail2ban")]

    with pytest.raises(Unclean, match="b0 has left out: the ratio"):
        run_and_save(
            {"b0": Benchmark("Title", lacks, str)}, resume=False, top=top, kept=top.parent / "kept"
        )
    assert not (top / "docs").exists()


def test_resume(top: Path) -> None:
    """A run that broke off goes on where it was, and one that does not go on begins again."""
    first, second = Fake(), Fake(failures=1)
    with pytest.raises(LookupError):
        save(top, first, second)
    assert not (top / "docs").exists()
    save(top, first, second, resume=True)
    assert (first.times, second.times) == (1, 2)
    save(top, first, second)
    assert (first.times, second.times) == (2, 3)


def test_resume_another_commit(top: Path) -> None:
    """Results of another commit are not gone on with."""
    fake = Fake()
    save(top, fake)
    (top / "code").write_text("second")
    git(top, "commit", "-q", "-a", "-m", "Second")
    save(top, fake, resume=True)
    assert fake.times == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--save", "idle"], "of one commit"),
        (["--save", "--check"], "of one commit"),
        (["--resume"], "--resume goes with --save"),
        (["--check", "idel"], "there is no benchmark 'idel'; known are peers"),
    ],
)
def test_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments that make no sense are refused before anything runs."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
