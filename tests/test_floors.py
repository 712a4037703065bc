"""The house keeps its floors: read from the imports themselves, and from the length of files."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import mailbanned

HOUSE = Path(mailbanned.__file__).parent

FLOORS = {
    "texts": -1,  # the cellar
    "": 0,  # the package itself: its version
    "model": 0,
    "clock": 0,
    "log": 0,
    "containers": 0,
    "filters": 1,
    "jails": 2,
    "sources": 3,
    "accounts": 3,
    "firewall": 3,
    "store": 3,
    "control": 3,
    "config": 4,
    "daemon": 5,
    "cli": 6,
}
# The rooms side by side on the third floor take only values from below: never 1 or 2.
EDGES = {room for room, floor in FLOORS.items() if floor == 3}

# Where each library may be imported: in one file of this room ...
ONE_FILE = {
    "ahocorasick_rs": "texts",
    "aiofiles": "sources",
    "asyncinotify": "sources",
    "watchfiles": "sources",
    "aiomysql": "accounts",
    "dbus_next": "firewall",
    "structlog": "log",
    "re2": "filters",
    "aiosqlite": "store",
    "rich": "cli",
}
# ... or anywhere in it, because it is the language that the whole room is written in.
WHOLE_ROOM = {"pydantic": "config", "click": "cli"}


class Import(NamedTuple):
    """One imported module: `file` (relative to the house) says `target` (dotted) in `line`."""

    file: str
    line: int
    target: str

    @property
    def room(self) -> str:
        """The room of the importing file."""
        return room_of(self.file.removesuffix(".py").replace("/", "."))

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def room_of(dotted: str) -> str:
    """`jails.window` -> `jails`; the package's own __init__ is the room ""."""
    first = dotted.partition(".")[0]
    return {"__init__": "", "__main__": "cli"}.get(first, first)


@cache
def imports(house: Path) -> tuple[Import, ...]:
    """Every import of every module, also those inside functions and for types only."""
    return tuple(_imports(house))


def _imports(house: Path) -> Iterator[Import]:
    for path in sorted(house.rglob("*.py")):
        file = str(path.relative_to(house))
        for node in ast.walk(ast.parse(path.read_bytes(), file)):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield Import(file, node.lineno, name.name)
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                # `from mailbanned import jails` means the room, not the package.
                for name in node.names:
                    whole = module == "mailbanned" and name.name in FLOORS
                    yield Import(file, node.lineno, f"{module}.{name.name}" if whole else module)


def misplaced(one: Import) -> bool:
    """Whether an import inside the house goes up, sideways, or past a landing."""
    if one.target.startswith("."):
        return True  # a relative import hides where it leads
    top, _, inside = one.target.partition(".")
    if top != "mailbanned":
        return False
    here, there = one.room, room_of(inside)
    if here not in FLOORS or there not in FLOORS:
        return True
    if here == there:
        return False
    if there == "log":
        return FLOORS[here] < 3
    if here in EDGES:
        return FLOORS[there] > 0
    return FLOORS[there] >= FLOORS[here]


def libraries(house: Path) -> dict[str, set[str]]:
    """Third-party library -> the files that import it."""
    known = sys.stdlib_module_names | {"mailbanned", ""}
    users: dict[str, set[str]] = {}
    for one in imports(house):
        top = one.target.partition(".")[0]
        if top not in known:
            users.setdefault(top, set()).add(one.file)
    return users


def test_imports_lead_downward() -> None:
    """No module imports from a higher floor, from another room of its own, or by a dotted path."""
    assert [str(one) for one in imports(HOUSE) if misplaced(one)] == []


def test_every_room_stands_on_a_floor() -> None:
    """Whatever lies in the house is a known room, and no known room is missing."""
    rooms = {
        room_of(str(path.relative_to(HOUSE)).removesuffix(".py").replace("/", "."))
        for path in HOUSE.rglob("*.py")
    }
    assert rooms == set(FLOORS)


@pytest.mark.parametrize(("library", "room"), ONE_FILE.items())
def test_library_has_one_door(library: str, room: str) -> None:
    """A library at the edge is imported in exactly one file, and that is in its own room."""
    users = libraries(HOUSE).get(library, set())
    assert len(users) == 1, users
    assert {room_of(file.removesuffix(".py").replace("/", ".")) for file in users} == {room}


@pytest.mark.parametrize(("library", "room"), WHOLE_ROOM.items())
def test_library_stays_in_its_room(library: str, room: str) -> None:
    """A library that shapes a whole room is imported in that room and nowhere else."""
    users = libraries(HOUSE).get(library, set())
    assert {file.partition("/")[0] for file in users} == {room}


def test_no_other_library() -> None:
    """The house knows no library beyond the listed ones."""
    assert set(libraries(HOUSE)) == {*ONE_FILE, *WHOLE_ROOM}


@pytest.mark.parametrize(
    ("file", "code", "wrong"),
    [
        ("jails/a.py", "from mailbanned.filters import Filter", False),
        ("jails/a.py", "from mailbanned.jails.b import c", False),
        ("cli/a.py", "import mailbanned", False),
        ("store/a.py", "from mailbanned.log import get_logger", False),
        ("filters/a.py", "from mailbanned.jails import Engine", True),
        ("jails/a.py", "from mailbanned.log import get_logger", True),
        ("model.py", "from mailbanned.clock import Clock", True),
        ("store/a.py", "import mailbanned.control.server", True),
        ("store/a.py", "from mailbanned import firewall", True),
        ("firewall/a.py", "from mailbanned.filters import Filter", True),
        ("config/a.py", "def f():\n    from mailbanned.daemon import service", True),
        ("jails/a.py", "from ..store import Store", True),
        ("jails/a.py", "from . import window", True),
        ("attic.py", "import mailbanned.model", True),
    ],
)
def test_the_reader_sees_wrong_imports(tmp_path: Path, file: str, code: str, wrong: bool) -> None:
    """An import that goes up, sideways or past a landing is found, and a good one is not."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(code)
    assert [misplaced(one) for one in imports(tmp_path)] == [wrong]


def test_files_fit_a_reader() -> None:
    """No module is longer than 500 lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in HOUSE.rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 500} == {}
