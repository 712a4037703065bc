"""What a path or glob leads to, and where a change of that would show."""

from __future__ import annotations

from pathlib import Path

from mailbanned.sources.file.discovery import discover


def test_files_of_a_glob(tmp_path: Path) -> None:
    """Regular files match with device and inode, also through links; hidden ones do not."""
    for name in ("a.log", "b.log", ".hidden.log", "other"):
        (tmp_path / name).touch()
    (tmp_path / "c.log").symlink_to("other")
    (tmp_path / "gone.log").symlink_to("nowhere")
    found = discover(f"{tmp_path}/*.log")
    assert found.problems == {}
    assert found.files == {
        str(tmp_path / name): (status.st_dev, status.st_ino)
        for name in ("a.log", "b.log", "c.log")
        for status in [(tmp_path / name).stat()]
    }


def test_directories_of_a_plain_path(tmp_path: Path) -> None:
    """A plain path is watched in its directory, there or not."""
    assert discover(str(tmp_path / "no" / "mail.log")).directories == {str(tmp_path / "no")}


def test_directories_of_wildcards(tmp_path: Path) -> None:
    """Every directory in which a match, or a directory on the way to one, may appear is watched."""
    for name in ("pvc-1", "pvc-2", "other"):
        (tmp_path / name / "logs").mkdir(parents=True)
    assert discover(f"{tmp_path}/pvc-*/logs/*.log").directories == {
        str(tmp_path / name) for name in ("", "pvc-1", "pvc-1/logs", "pvc-2", "pvc-2/logs")
    }


def test_directory_of_what_a_link_leads_to(tmp_path: Path) -> None:
    """A link is watched where it stands and where its target stands."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "target").touch()
    (tmp_path / "mail.log").symlink_to("x/target")
    assert discover(str(tmp_path / "mail.log")).directories == {str(tmp_path), str(tmp_path / "x")}
