"""FileSource finds logs again: rotated several times, replaced, gone and back, in new places."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.runtimes import cri
from tests.sources.rig import Reader, append
from tests.waiting import until

#: What a log is called after three rotations, the oldest first.
NUMBERS = ("mail.log.3", "mail.log.2", "mail.log.1", "mail.log")
DATES = ("mail.log-20260501", "mail.log-20260502", "mail.log-20260503", "mail.log")
BETWEEN = ("mail.3.log", "mail.2.log", "mail.1.log", "mail.log")


def fill(log: Path, names: Sequence[str], packed: int) -> list[bytes]:
    """Continues a log of b"read\n" over several rotations; the oldest are packed with gzip.

    No file keeps the log's inode, so only content tells what it was. Returns what was written
    after b"read\n", file by file.
    """
    read_at = log.stat().st_mtime_ns
    (log.parent / "elsewhere").mkdir()
    log.rename(log.parent / "elsewhere" / "keeps-the-inode")
    unread = [b"%d first\n%d last\n" % (n, n) for n in range(len(names))]
    for place, name in enumerate(names):
        data = (b"" if place else b"read\n") + unread[place]
        path = log.with_name(f"{name}.gz" if place < packed else name)
        path.write_bytes(gzip.compress(data) if place < packed else data)
        at = read_at + (place + 1) * 1_000_000_000
        os.utime(path, ns=(at, at))
    return unread


@pytest.mark.parametrize("names", [NUMBERS, DATES, BETWEEN])
@pytest.mark.parametrize("packed", [0, 1, 3])
async def test_several_rotations_while_down(
    tmp_path: Path, names: Sequence[str], packed: int
) -> None:
    """All that was rotated since, packed or not, is found by content and read in its order."""
    log = tmp_path / "mail.log"
    append(log, b"read\n")
    async with Reader(log) as reader:
        await reader.read(b"read\n")
    (tmp_path / "other.log.1").write_bytes(b"read\nnot ours\n")
    unread = fill(log, names, packed)
    async with Reader(log, reader.marks) as again:
        await again.read(b"".join(unread))
        await again.following()
        assert not any(block.live for block in again.blocks)
        append(log, b"new\n")
        await again.read(b"".join(unread) + b"new\n")
        assert again.blocks[-1].live


async def test_a_packed_copy_with_the_inode_and_the_time_of_the_log(tmp_path: Path) -> None:
    """A packed copy in which the log went on is read on, even if it passes for the log itself."""
    log, packed = tmp_path / "mail.log", tmp_path / "mail.log.1.gz"
    append(log, b"read\n")
    async with Reader(log) as reader:
        await reader.read(b"read\n")
    written = log.stat().st_mtime_ns
    log.write_bytes(gzip.compress(b"read\nrest\n"))
    log.rename(packed)
    os.utime(packed, ns=(written, written))
    append(log, b"new\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"rest\nnew\n")


async def test_a_packed_copy_in_which_the_log_went_on_beside_the_log_itself(tmp_path: Path) -> None:
    """The rest of a copy is read even if the log that was read before is still there, too."""
    log = tmp_path / "mail.log"
    append(log, b"read\n")
    async with Reader(log) as reader:
        await reader.read(b"read\n")
    log.rename(tmp_path / "mail.log.2")
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(b"read\nrest\n"))
    append(log, b"new\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"rest\nnew\n")


@pytest.mark.parametrize("same_inode", [True, False])
async def test_replaced_by_one_of_the_same_size_while_down(
    tmp_path: Path, same_inode: bool
) -> None:
    """As many other bytes in the place of a log that was read are new, whatever the inode."""
    log = tmp_path / "mail.log"
    append(log, b"first\n")
    async with Reader(log) as reader:
        await reader.read(b"first\n")
    if not same_inode:
        log.rename(tmp_path / "elsewhere")
    log.write_bytes(b"other\n")
    async with Reader(log, reader.marks) as again:
        await again.read(b"other\n")


async def test_replaced_by_one_of_the_same_size(tmp_path: Path) -> None:
    """Another file of the same size, moved over the log, is read from its start."""
    log = tmp_path / "mail.log"
    append(log, b"first\n")
    async with Reader(log) as reader:
        await reader.read(b"first\n")
        append(tmp_path / "new", b"other\n")
        (tmp_path / "new").rename(log)
        await reader.read(b"first\nother\n")
        append(log, b"more\n")
        await reader.read(b"first\nother\nmore\n")


async def test_a_volume_that_comes_and_goes(tmp_path: Path) -> None:
    """A match that goes away is not held up as followed; when it is back, it is read on."""
    volume, away = tmp_path / "pvc-1_mail", tmp_path / "unmounted"
    volume.mkdir()
    append(volume / "mail.log", b"one\n")
    async with Reader(tmp_path / "pvc-*_mail" / "mail.log") as reader:
        await reader.read(b"one\n")
        volume.rename(away)
        await until(lambda: reader.state.state == "waiting")
        assert reader.state.paths == ()
        append(away / "mail.log", b"two\n")
        away.rename(volume)
        await reader.read(b"one\ntwo\n")
        await until(lambda: reader.state.paths == (str(volume / "mail.log"),))
        assert reader.state.detail == ""
        append(volume / "mail.log", b"three\n")
        await reader.read(b"one\ntwo\nthree\n")


async def test_pods_that_restart(tmp_path: Path) -> None:
    """A pod's log is followed through its rotation, a restarted container, and a new pod."""
    pattern = tmp_path / "mail_postfix-*" / "postfix" / "*.log"
    old, new = tmp_path / "mail_postfix-a1_uid1", tmp_path / "mail_postfix-b2_uid2"
    (old / "postfix").mkdir(parents=True)
    log = old / "postfix" / "0.log"
    append(log, cri("one"))
    lines = cri("one")
    async with Reader(pattern) as reader:
        await reader.read(lines)
        await reader.following()
        log.rename(log.with_name("0.log.20260501-120000"))
        append(log, cri("rotated"))
        lines += cri("rotated")
        await reader.read(lines)
        append(log.with_name("1.log"), cri("restarted"))
        lines += cri("restarted")
        await reader.read(lines)
        (new / "postfix").mkdir(parents=True)
        append(log.with_name("1.log"), cri("last of the old pod"))
        lines += cri("last of the old pod")
        await reader.read(lines)
        shutil.rmtree(old)
        append(new / "postfix" / "0.log", cri("new pod"))
        lines += cri("new pod")
        await reader.read(lines)
        assert all(block.live for block in reader.blocks[1:])
        await until(lambda: reader.state.paths == (str(new / "postfix" / "0.log"),))


async def test_logs_that_begin_with_the_same_lines(tmp_path: Path) -> None:
    """An attacker who is quick enough begins two logs with one line; both are read all the same."""
    log = tmp_path / "mail.log"
    same = b"Dec  1 15:55:56 mx postfix/smtpd[4712]: NOQUEUE: reject: RCPT".ljust(250, b".") + b"\n"
    append(log, same + b"first\n")
    async with Reader(log) as reader:
        await reader.read(same + b"first\n")
    log.rename(tmp_path / "mail.log-20260501")
    append(log, same + b"second\n")
    log.rename(tmp_path / "mail.log-20260502")
    append(log, b"third\n")
    async with Reader(log, reader.marks) as again:
        await again.read(same + b"second\n" + b"third\n")
