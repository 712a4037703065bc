"""Own filter files, good and bad: what is wrong with them is part of the configuration's errors."""

from __future__ import annotations

import pytest

from tests.config.support import APP, SMALL, Folder
from tests.strangers import as_stranger, needs_root, open_folder

FAILED = "May  1 06:43:08 mx app: login failed for bob from 192.0.2.1"
SAMPLE = "correct the pattern, or the sample if it is wrong"
PATTERN = "correct the pattern (RE2 syntax)"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            'address = "192.0.2.1"',
            'address = "192.0.2.2"',
            "samples: hit reports 192.0.2.1, user 'bob' instead of 192.0.2.2, user 'bob': "
            f"{FAILED}; {SAMPLE}",
        ),
        (
            'user = "bob"',
            'user = "eve"',
            "samples: hit reports 192.0.2.1, user 'bob' instead of 192.0.2.1, user 'eve': "
            f"{FAILED}; {SAMPLE}",
        ),
        ("tag = 'app: '", "tag = 'web: '", f"samples: hit does not match: {FAILED}; {SAMPLE}"),
        (
            "app: login of bob from",
            "app: login failed for bob from",
            f"samples: miss matches (app/failed-login, 192.0.2.1): {FAILED}; {SAMPLE}",
        ),
        (
            'literal = "login failed for"',
            'literal = "not here"',
            f"samples: hit does not contain a literal of app/failed-login: {FAILED}; {SAMPLE}",
        ),
        (
            " from <ADDR>'",
            " from .*'",
            "patterns.failed-login: the pattern has no <ADDR>: it cannot say whom to ban; "
            f"{PATTERN}",
        ),
        (
            'literal = "login failed for"',
            'literal = "no"',
            f"patterns.failed-login: literal 'no' is too short (at least 4 bytes); {PATTERN}",
        ),
        ("description = ", "descripton = ", "description: is missing; add it"),
        ('name = "failed-login"', 'nam = "failed-login"', "patterns.0.name: is missing; add it"),
        ("tag = 'app: '", "", "tag: is missing; add it"),
        ('address = "192.0.2.1"\n', "", "hits.0.address: is missing; add it"),
        (
            'name = "failed-login"',
            'name = "a/b"',
            "patterns.0.name: is not a name of a pattern (it is 'a/b'); use at most 40 lower-case "
            "letters, digits and '-'",
        ),
    ],
)
def test_one_mistake(folder: Folder, old: str, new: str, error: str) -> None:
    """Each mistake in an own filter is reported with the filter's file, its key and a remedy."""
    assert APP.count(old) == 1
    folder.write("filters/app.toml", APP.replace(old, new))
    assert f"DIR/filters/app.toml: {error}" in folder.errors(SMALL)


def test_a_pattern_that_is_none(folder: Folder) -> None:
    """What RE2 cannot compile is reported with RE2's own reason."""
    folder.write("filters/app.toml", APP.replace("from <ADDR>", "from (<ADDR>"))
    (error,) = folder.errors(SMALL)
    assert error.startswith(
        "DIR/filters/app.toml: patterns.failed-login: not a valid RE2 pattern: "
    )


def test_every_failing_sample_is_reported(folder: Folder) -> None:
    """All failing samples are reported at once, with all other errors."""
    folder.write("filters/app.toml", APP.replace("tag = 'app: '", "tag = 'web: '") + """
[[hits]]
line = "app: login failed for  from 192.0.2.9"
address = "192.0.2.9"
""")  # fmt: skip
    errors = folder.errors("defaults.maxretry = 0" + SMALL)
    assert len(errors) == 3
    assert errors[0].startswith("DIR/main.toml: defaults.maxretry: ")
    assert all(error.startswith("DIR/filters/app.toml: samples: hit") for error in errors[1:])


def test_a_filters_keys_are_its_own(folder: Folder) -> None:
    """An error in a filter names the filter's file, also where the main file has such a key."""
    folder.write("filters/app.toml", "log = 3\n" + APP)
    errors = folder.errors('log = { level = "info" }' + SMALL)
    assert errors == [
        "DIR/filters/app.toml: log: is not a known key; remove it, or name one of "
        "description, hits, misses, outage, patterns, suspects, tag"
    ]


def test_a_filter_without_samples(folder: Folder) -> None:
    """A filter without a line that it must match is refused."""
    text = APP.partition("[[hits]]")[0]
    folder.write("filters/app.toml", text)
    assert folder.errors(SMALL) == ["DIR/filters/app.toml: hits: is missing; add it"]


def test_a_broken_own_filter_is_not_passed_over(folder: Folder) -> None:
    """A bad filter of the folder is an error, even though a shipped one has its name."""
    (folder.path / "filters" / "sshd.toml").mkdir()
    jails = SMALL + '[jails.sshd]\nsource = "app"\nfilter = "sshd"\n'
    assert folder.errors(jails) == [
        "DIR/filters/sshd.toml: file: cannot be read (Is a directory); make it readable for the "
        "user that runs this"
    ]


def test_filters_of_disabled_jails_are_checked(folder: Folder) -> None:
    """A disabled jail's filter is loaded too, so that enabling the jail later brings no error."""
    folder.write("filters/app.toml", APP.replace("tag = 'app: '", "tag = 'web: '"))
    assert len(folder.errors(SMALL + "enabled = false")) == 1


LOAD = """
try:
    load(Path(sys.argv[1]))
except ConfigError as error:
    print(error)
"""
# The first load imports what pydantic imports only when it validates.
IMPORTS = """from pathlib import Path
from mailbanned.config import SHIPPED, ConfigError
from mailbanned.config.load import load
load(SHIPPED / "mailbanned.toml")"""


@needs_root
@pytest.mark.parametrize("name", ["main.toml", "conf.d", "conf.d/a.toml", "filters"])
def test_what_may_not_be_read_is_reported(name: str) -> None:
    """A file or folder that the daemon's user may not read is an error, never silently left out."""
    with open_folder() as path:
        folder = Folder(path)
        folder.write("main.toml", SMALL)
        folder.write("conf.d/a.toml", "")
        (path / name).chmod(0)
        printed = as_stranger(IMPORTS, LOAD, str(folder.main))
    assert printed.startswith(f"{path / name}")
    assert "cannot be read (Permission denied); make it" in printed
