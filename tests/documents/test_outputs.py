"""What the documents show as printed by the program is what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mailbanned.config import SHIPPED
from tests.command import Completed, cli
from tests.demo_host import APP, DemoHost
from tests.documents.pages import block, blocks, is_shown
from tests.running import Running, sasl, write_config

_SHIPPED = SHIPPED / "mailbanned.toml"


def masked(printed: str) -> str:
    """The text without what depends on the day."""
    printed = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", "TIME", printed)
    return re.sub(r"\(\S+ (ago|ahead)\)|year \d{4}|(?<=\bms=)[\d.]+", "...", printed)


def test_the_line_that_is_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that --unmatched finds, and what --explain says of it, in docs/operations.md."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    _, found, _, *explained = block("docs/operations.md", "# mailbanned test --unm").split("\n")
    number, _, line = found.partition(": ")
    log = tmp_path / "maillog"
    log.write_text("\n" * (int(number) - 1) + f"May  1 19:43:20 mx {line}\n")
    assert _printed("test", "--unmatched", str(log)) == f"{found}\n"
    jail = ("--jail", "postfix-sasl")
    text = _printed("test", *jail, "--explain", "-", stdin=log.read_text().lstrip("\n"))
    assert is_shown(masked("\n".join(explained)), masked(text))


def _printed(*arguments: str, stdin: str = "") -> str:
    result = cli("-c", str(_SHIPPED), *arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def _check(folder: Path) -> Completed:
    """What `mailbanned check` says of a folder, as if it were /etc/mailbanned."""
    result = cli("-c", str(folder / "mailbanned.toml"), "check")
    result.stdout, result.stderr = (
        said.replace(str(folder), "/etc/mailbanned") for said in (result.stdout, result.stderr)
    )
    return result


def test_a_sample_that_does_not_match(tmp_path: Path) -> None:
    """What `mailbanned check` says of a filter that does not catch its sample."""
    host = DemoHost(tmp_path)
    line = "May  1 06:43:08 mx app[1]: login failed for bob out of 192.0.2.1"
    app = APP.replace("for <USER> from", r"for <F-USER>\S+</F-USER> from")
    host.write("filters/app.toml", f'{app}[[hits]]\nline = "{line}"\naddress = "192.0.2.1"\n')
    example = block("docs/operations.md", "# mailbanned check")
    assert is_shown(example.partition("\n")[2], _check(tmp_path).stderr)


def test_errors_of_a_configuration(tmp_path: Path) -> None:
    """The two errors in docs/configuration.md."""
    shipped = _SHIPPED.read_text()
    (tmp_path / "mailbanned.toml").write_text(shipped.replace("maxretry = 3", "maxretry = 0", 1))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "50-here.toml").write_text("[jails.sshd]\nbantine = 1\n")
    errors = [line.strip() for line in _check(tmp_path).stderr.splitlines()[1:]]
    assert is_shown(block("docs/configuration.md", "/etc/mailbanned"), "\n".join(errors))


def test_the_jails_and_the_filter_of_the_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `check` and `test` say of them in docs/adding.md; there may be more samples by now."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    (tmp_path / "mailbanned.toml").write_text(_SHIPPED.read_text())
    for folder in ("conf.d", "filters"):
        (tmp_path / folder).mkdir()
    for number, one in enumerate(blocks("docs/adding.md", language="toml")):
        own = "filters/cyrus-imap" if "[[patterns]]" in one.text else f"conf.d/{number}"
        (tmp_path / f"{own}.toml").write_text(one.text)
    good = re.sub(r"all \d+ samples", "all samples", _check(tmp_path).stdout)
    for example in (one.text for one in blocks("docs/adding.md") if "# mailbanned ch" in one.text):
        lines = re.findall(r"^(?:  [^.]|/etc).*", example, re.MULTILINE)
        assert {re.sub(r"all \d+ samples", "all samples", line) for line in lines} <= {
            *good.splitlines()
        }
    (match,) = re.findall(r"^\{.*", "".join(b.text for b in blocks("docs/adding.md")), re.MULTILINE)
    log = tmp_path / "maillog"
    hit = re.search(r"^line = '(.*)'", (tmp_path / "filters/cyrus-imap.toml").read_text(), re.M)
    assert hit is not None
    log.write_text(f"{hit[1]}\n")
    command = ("test", "--jail", "cyrus-imap", "--matches", str(log))
    result = cli("-c", str(tmp_path / "mailbanned.toml"), *command)
    assert json.loads(match) | {"log": str(log)} == json.loads(result.stdout)


def test_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ban and its end in the log, as docs/operations.md shows them."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    source, jail = '[jails.postfix-sasl]\nsource = "postfix"\n', 'filter = "postfix-sasl"\n'
    write_config(tmp_path, more=f'{source}{jail}bantime = "1s"\n')
    (tmp_path / "postfix.log").touch()
    with Running(tmp_path) as daemon:
        daemon.following()
        daemon.append("postfix.log", *3 * [sasl("198.51.100.7", "info@example.org")])
        daemon.wait(lambda: "Unban" in daemon.log(), "the ban has ended")
    lines = [line.split(" ", 2)[2] for line in daemon.log().splitlines() if "ban 1" in line.lower()]
    assert is_shown(
        masked(block("docs/operations.md", "[postfix-sasl] Ban")), masked("\n".join(lines))
    )
