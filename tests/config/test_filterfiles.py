"""Own filter files, good and bad: what is wrong with them is part of the configuration's errors."""

from __future__ import annotations

import pytest

from tests.config.support import DOOR, SMALL, Folder
from tests.strangers import as_stranger, needs_root, open_folder


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('address = "192.0.2.1"', 'address = "192.0.2.2"',
         "samples: hit reports 192.0.2.1, user 'bob' instead of 192.0.2.2, user 'bob': "
         "May  1 06:43:08 mx door: no entry for bob from 192.0.2.1; mend the pattern, or the "
         "sample if it is wrong"),
        ('user = "bob"', 'user = "eve"',
         "samples: hit reports 192.0.2.1, user 'bob' instead of 192.0.2.1, user 'eve': "
         "May  1 06:43:08 mx door: no entry for bob from 192.0.2.1; mend the pattern, or the "
         "sample if it is wrong"),
        ("tag = 'door: '", "tag = 'gate: '",
         "samples: hit does not match: May  1 06:43:08 mx door: no entry for bob from 192.0.2.1; "
         "mend the pattern, or the sample if it is wrong"),
        ("door: welcome bob from", "door: no entry for bob from",
         "samples: miss matches (door/refused, 192.0.2.1): May  1 06:43:08 mx door: no entry for "
         "bob from 192.0.2.1; mend the pattern, or the sample if it is wrong"),
        ('literal = "no entry for"', 'literal = "not here"',
         "samples: literal of door/refused does not stand in its hit: May  1 06:43:08 mx door: no "
         "entry for bob from 192.0.2.1; mend the pattern, or the sample if it is wrong"),
        (" from <ADDR>'", " from .*'",
         "patterns.refused: the pattern has no <ADDR>: it cannot say whom to ban; mend the "
         "pattern (RE2 syntax)"),
        ('literal = "no entry for"', 'literal = "no"',
         "patterns.refused: literal 'no' is too short to tell lines apart (4 bytes); mend the "
         "pattern (RE2 syntax)"),
        ("description = ", "descripton = ", "description: is missing; add it"),
        ('name = "refused"', 'nam = "refused"', "patterns.0.name: is missing; add it"),
        ("tag = 'door: '", "", "tag: is missing; add it"),
        ('address = "192.0.2.1"\n', "", "hits.0.address: is missing; add it"),
        ('name = "refused"', 'name = "a/b"',
         "patterns.0.name: String should match pattern '^[a-z0-9-]{1,40}$' (it is 'a/b'); correct "
         "the value"),
    ],
)  # fmt: skip
def test_one_mistake(folder: Folder, old: str, new: str, error: str) -> None:
    """Each mistake in an own filter is reported with the filter's file, its key and a remedy."""
    assert DOOR.count(old) == 1
    folder.write("filters/door.toml", DOOR.replace(old, new))
    assert f"DIR/filters/door.toml: {error}" in folder.errors(SMALL)


def test_a_pattern_that_is_none(folder: Folder) -> None:
    """What RE2 cannot compile is reported with RE2's own reason."""
    folder.write("filters/door.toml", DOOR.replace("from <ADDR>", "from (<ADDR>"))
    (error,) = folder.errors(SMALL)
    assert error.startswith("DIR/filters/door.toml: patterns.refused: not a valid RE2 pattern: ")


def test_every_failing_sample_is_reported(folder: Folder) -> None:
    """All samples are run, so that one mending needs one look; other errors come along."""
    folder.write("filters/door.toml", DOOR.replace("tag = 'door: '", "tag = 'gate: '") + """
[[hits]]
line = "door: no entry for  from 192.0.2.9"
address = "192.0.2.9"
""")  # fmt: skip
    errors = folder.errors("defaults.maxretry = 0" + SMALL)
    assert len(errors) == 3
    assert errors[0].startswith("DIR/main.toml: defaults.maxretry: ")
    assert all(error.startswith("DIR/filters/door.toml: samples: hit") for error in errors[1:])


def test_a_filters_keys_are_its_own(folder: Folder) -> None:
    """An error in a filter names the filter's file, also where the main file has such a key."""
    folder.write("filters/door.toml", "log = 3\n" + DOOR)
    errors = folder.errors('log = { level = "info" }' + SMALL)
    assert errors == [
        "DIR/filters/door.toml: log: is not a known key; remove it, or name one of "
        "description, hits, misses, outage, patterns, suspects, tag"
    ]


def test_a_filter_without_samples(folder: Folder) -> None:
    """A filter that proves nothing is refused: at least one line that it catches must be shown."""
    text = DOOR.partition("[[hits]]")[0]
    folder.write("filters/door.toml", text)
    assert folder.errors(SMALL) == ["DIR/filters/door.toml: hits: is missing; add it"]


def test_a_broken_own_filter_is_not_passed_over(folder: Folder) -> None:
    """A bad filter of the folder is an error, even though a shipped one has its name."""
    (folder.path / "filters" / "sshd.toml").mkdir()
    jails = SMALL + '[jails.sshd]\nsource = "door"\nfilter = "sshd"\n'
    assert folder.errors(jails) == [
        "DIR/filters/sshd.toml: file: cannot be read (Is a directory); make it readable for the "
        "user that runs this"
    ]


def test_filters_of_resting_jails_are_checked(folder: Folder) -> None:
    """A disabled jail's filter is read and tried as well, so enabling it is no surprise."""
    folder.write("filters/door.toml", DOOR.replace("tag = 'door: '", "tag = 'gate: '"))
    assert len(folder.errors(SMALL + "enabled = false")) == 1


LOAD = """
try:
    load(Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""
IMPORTS = """from pathlib import Path
from mailbanned.config import ConfigError
from mailbanned.config.load import load"""


@needs_root
@pytest.mark.parametrize("name", ["main.toml", "conf.d", "conf.d/a.toml", "filters"])
def test_what_may_not_be_read_is_said(name: str) -> None:
    """A file or folder that the daemon's user may not read is an error, never silently left out."""
    with open_folder() as path:
        folder = Folder(path)
        folder.write("main.toml", SMALL)
        folder.write("conf.d/a.toml", "")
        (path / name).chmod(0)
        said = as_stranger(IMPORTS, LOAD, str(folder.main))
    assert said.startswith(f"{path / name}")
    assert "cannot be read (Permission denied); make it" in said
