"""What docs/operations.md says of the log is what the program logs."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import mailbanned
from tests.documents.pages import table, text


@cache
def said() -> tuple[str, ...]:
    """Every text in the program, with a NUL where it fills something in."""
    found = []
    for path in Path(mailbanned.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    one.value if isinstance(one, ast.Constant) else "\0" for one in node.values
                )
                found.append("".join(map(str, parts)))
    return tuple(found)


def is_said(message: str) -> bool:
    """Whether the program has this text; "..." stands for anything."""
    pattern = re.compile(".*".join(map(re.escape, message.split("..."))), re.DOTALL)
    return any(pattern.match(one) for one in said())


def _messages() -> list[str]:
    cells = [row[0] for row in table("docs/operations.md", "message")]
    return list(chain.from_iterable(re.findall(r"`([^`]+)`", cell) for cell in cells))


@pytest.mark.parametrize("message", _messages())
def test_messages_are_said(message: str) -> None:
    """Each message of the table is a text of the program."""
    assert is_said(message)


def test_the_table_was_read() -> None:
    """There are messages in it, and one that the program has not is noticed."""
    assert len(_messages()) >= 14
    assert not is_said("mailbanned is at rest")


@pytest.mark.parametrize("label", re.findall(r"`([A-Z][A-Za-z ]+:)`", text("docs/operations.md")))
def test_labels_of_the_plain_status(label: str) -> None:
    """The labels that scripts may look for are those of the plain status."""
    assert any(label in one or one == label[:-1] for one in said())
