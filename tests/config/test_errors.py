"""Bad configurations and their exact messages: file, key, what is wrong, and the remedy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbanned.config import ConfigError
from tests.config.support import SMALL, Folder

TABLES = (
    "remove it, or name one of accounts, control, defaults, firewall, jails, log, outage, sources, "
    "store"
)
DURATION = "write it like 90, '90s', '15m', '24h', '7d' or '1d12h'"


def test_everything_wrong_in_several_files_at_once(folder: Folder) -> None:
    """Every error of every file is reported at once, each with the file that has it."""
    folder.write("conf.d/10-a.toml", "[jails.app]\nbantme = 3\nmaxretry = 0\n[firewal]\n")
    folder.write("conf.d/20-b.toml", '[jails.other]\nsource = "ap"\n[defaults]\nfindtime = "soon"')
    folder.write("conf.d/30-c.toml", '[jails.third]\nsource = "app"\nfilter = "web"')
    errors = folder.errors(SMALL + '[defaults]\nignore = ["192.0.2.300"]\n')
    known = errors[-2].partition("known are ")[2]
    assert "app" in known.split("; ")[0].split(", ")
    assert errors == [
        f"DIR/conf.d/20-b.toml: defaults.findtime: is not a duration (it is 'soon'); {DURATION}",
        "DIR/main.toml: defaults.ignore: '192.0.2.300' is not an address or network; write it like "
        "'192.0.2.7', '198.51.100.0/24' or '2001:db8::/32'",
        "DIR/conf.d/10-a.toml: jails.app.maxretry: Input should be greater than or equal to 1 "
        "(it is 0); correct the value",
        "DIR/conf.d/10-a.toml: jails.app.bantme: is not a known key; did you mean 'bantime'?",
        "DIR/conf.d/20-b.toml: jails.other.filter: is missing; add it",
        "DIR/conf.d/10-a.toml: firewal: is not a known key; did you mean 'firewall'?",
        f"DIR/conf.d/30-c.toml: jails.third.filter: there is no filter 'web'; known are {known}",
        "DIR/conf.d/20-b.toml: jails.other.source: there is no [sources.ap]; name one of the "
        "sources (app) or add it",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("maxretries = 3", f"maxretries: is not a known key; {TABLES}"),
        ("[breaker]\nhold = 60", f"breaker: is not a known key; {TABLES}"),
        ("defaults.maxretries = 3",
         "defaults.maxretries: is not a known key; did you mean 'maxretry'?"),
        ('jails.a = { source = "app", filter = "app", xyz = 3 }',
         "jails.a.xyz: is not a known key; remove it, or name one of accounts, bantime, "
         "bantime_factor, bantime_forgive, bantime_max, enabled, filter, findtime, ignore, "
         "ignore_own_addresses, ipv6_prefix, maxretry, passdb, source, widen_after, widen_ipv4, "
         "widen_ipv6"),
        ("defaults.maxretry = true",
         "defaults.maxretry: Input should be a valid integer (it is True); correct the value"),
        ('defaults.maxretry = "3"',
         "defaults.maxretry: Input should be a valid integer (it is '3'); correct the value"),
        ("defaults.ignore_own_addresses = 1",
         "defaults.ignore_own_addresses: Input should be a valid boolean (it is 1); correct the "
         "value"),
        ("defaults.ipv6_prefix = 129",
         "defaults.ipv6_prefix: Input should be less than or equal to 128 (it is 129); correct the "
         "value"),
        ('defaults.bantime = "always"',
         f"defaults.bantime: is not a duration (it is 'always'); {DURATION}, or 'permanent'"),
        ('defaults.ignore = "192.0.2.1"',
         "defaults.ignore: is not a list (it is '192.0.2.1'); write it like ['192.0.2.7', "
         "'198.51.100.0/24']"),
        ('firewall.backend = "iptables"',
         "firewall.backend: is not a firewall backend (it is 'iptables'); known are firewalld, "
         "nftables, dry-run"),
        ('firewall = { backend = "nftables", zone = "public" }',
         "firewall: zone is for firewalld; leave it out, since nftables knows no zones"),
        ('store.path = "/"', "store.path: is not the path of a file (it is '/'); name one"),
        ("control.socket = 3", "control.socket: is not the path of a file (it is 3); name one"),
        ("accounts.port = 0",
         "accounts.port: Input should be greater than or equal to 1 (it is 0); correct the value"),
        ('accounts = { backend = "mysql", query = "SELECT 1" }',
         "accounts: query does not ask for the user; write %(user)s where the name belongs"),
        ("sources.a = {}", "sources.a: needs either path or journal; give one of them"),
        ('sources.a = { path = "/a", journal = ["b"] }',
         "sources.a: needs either path or journal; give one of them"),
        ('sources.a.journal = ["postfix", "syslog_identifier=dovecot"]',
         "sources.a.journal: 'syslog_identifier=dovecot' is neither a unit nor a match; write it "
         "like 'sshd.service' or 'SYSLOG_IDENTIFIER=dovecot'"),
        ('sources.a.journal = ["__CURSOR=1"]',
         "sources.a.journal: '__CURSOR=1' is neither a unit nor a match; write it like "
         "'sshd.service' or 'SYSLOG_IDENTIFIER=dovecot'"),
        ('sources.a.journal = ["a b"]',
         "sources.a.journal: 'a b' is neither a unit nor a match; write it like 'sshd.service' or "
         "'SYSLOG_IDENTIFIER=dovecot'"),
        ('sources.a.path = ""', "sources.a: path names no file; give the path of a log"),
        ('sources.a = { path = "/a", timezone = "CEST/Berlin" }',
         "sources.a.timezone: is not a known time zone (it is 'CEST/Berlin'); use an IANA name "
         "such as 'Europe/Berlin' or 'UTC'"),
        ('jails.a = { source = "app", filter = "app", accounts = "none" }',
         "jails.a.accounts: Input should be 'any' or 'unknown' (it is 'none'); correct the value"),
        ('jails.manual = { source = "app", filter = "app" }',
         "jails.manual: is reserved for bans by hand; choose another name"),
        ('jails."a b" = { source = "app", filter = "app" }',
         "jails.a b: is not a name (it is 'a b'); use at most 64 letters, digits, '-', '_' and "
         "'.'"),
        ('jails.a = { source = "app", filter = "../app" }',
         "jails.a.filter: is not a name (it is '../app'); use at most 64 letters, digits, '-', "
         "'_' and '.'"),
        ("log = 3", "log: is not a table (it is 3); write it as [log]"),
        ("jails.a = 3", "jails.a: is not a table (it is 3); write it as [jails.a]"),
    ],
)  # fmt: skip
def test_one_mistake(folder: Folder, text: str, error: str) -> None:
    """Each mistake gives exactly its one message, in the main file and in conf.d alike."""
    assert folder.errors(text + SMALL) == [f"DIR/main.toml: {error}"]
    folder.write("conf.d/a.toml", text)
    assert folder.errors(SMALL) == [f"DIR/conf.d/a.toml: {error}"]


def test_a_bad_later_value_is_its_files_fault(folder: Folder) -> None:
    """Where several files give a value, the error names the file whose value is in force."""
    folder.write("conf.d/a.toml", "defaults.maxretry = -1")
    assert folder.errors("defaults.maxretry = -2")[0].startswith("DIR/conf.d/a.toml: ")
    folder.write("conf.d/b.toml", "defaults.maxretry = 1")
    assert folder.load(SMALL).jails[0].maxretry == 1


def test_a_bad_default_is_reported_once(folder: Folder) -> None:
    """A bad value of [defaults] is an error of [defaults], however many jails inherit it."""
    folder.write("conf.d/a.toml", '[defaults]\nmaxretry = 0\nmaxretri = 5\n"x.y" = 1\n')
    more = '[jails.b]\nsource = "app"\nfilter = "app"\n'
    errors = [error.partition(": ")[::2] for error in folder.errors(SMALL + more)]
    assert {file for file, _ in errors} == {"DIR/conf.d/a.toml"}
    assert [text.partition(": ")[0] for _, text in errors] == [
        "defaults.maxretry",
        "defaults.maxretri",
        "defaults.x.y",
    ]


def test_a_bad_value_of_a_jail_is_its_own(folder: Folder) -> None:
    """A bad value of a jail is reported for the jail, also if the one of [defaults] is bad too."""
    folder.write("conf.d/a.toml", "[defaults]\nmaxretry = 5\nfindtime = 0\n")
    folder.write("conf.d/b.toml", "[jails.app]\nmaxretry = 0\nfindtime = -1\n")
    errors = [error.partition(": ")[::2] for error in folder.errors(SMALL)]
    assert [(file, text.partition(": ")[0]) for file, text in errors] == [
        ("DIR/conf.d/a.toml", "defaults.findtime"),
        ("DIR/conf.d/b.toml", "jails.app.findtime"),
        ("DIR/conf.d/b.toml", "jails.app.maxretry"),
    ]


def test_no_toml(folder: Folder) -> None:
    """Files that are no TOML are reported together, each with its line."""
    folder.write("conf.d/a.toml", "a = 1\na = 2\n\n")
    main, addition = folder.errors("\n[jails\n")
    for error, file in ((main, "main.toml"), (addition, "conf.d/a.toml")):
        assert error.startswith(f"DIR/{file}: syntax: is not TOML: ")
        assert "(at line 2, column " in error
        assert error.endswith("; correct that line")


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 5000])
def test_monstrous_toml(folder: Folder, value: str) -> None:
    """Numbers of thousands of digits and endless nesting are errors like any other."""
    (error,) = folder.errors(f"defaults.maxretry = {value}")
    assert error.startswith("DIR/main.toml: syntax: is not TOML: ")


def test_no_file(folder: Folder) -> None:
    """A main file that does not exist is reported as missing."""
    assert folder.errors() == ["DIR/main.toml: file: does not exist; create it or name another"]


def test_a_folder_is_no_file(folder: Folder) -> None:
    """A folder in the place of a file cannot be read, in conf.d either."""
    folder.main.mkdir()
    (folder.path / "conf.d" / "a.toml").mkdir(parents=True)
    assert folder.errors() == [
        f"DIR/{name}: file: cannot be read (Is a directory); make it readable for the user that "
        "runs this"
        for name in ("main.toml", "conf.d/a.toml")
    ]


def test_conf_d_is_a_folder(folder: Folder) -> None:
    """A file in the place of conf.d is an error, since it was meant to be read."""
    folder.write("conf.d", "")
    assert folder.errors(SMALL) == [
        "DIR/conf.d: folder: cannot be read (Not a directory); make it a folder that the user who "
        "runs this may read, or remove it"
    ]


def test_no_utf8(folder: Folder) -> None:
    """A file in another encoding is reported with the first byte that is wrong."""
    folder.main.write_bytes(b"# f\xfcr alle\n")
    assert folder.errors() == [
        "DIR/main.toml: file: is not UTF-8 at byte 3; save the file as UTF-8"
    ]


def test_no_source_yet(folder: Folder) -> None:
    """The error of a jail without any source says that there is none yet."""
    assert folder.errors('[jails.a]\nsource = "b"\nfilter = "app"') == [
        "DIR/main.toml: jails.a.source: there is no [sources.b]; name one of the sources (none "
        "yet) or add it"
    ]


def test_a_missing_filter_is_reported_once(folder: Folder) -> None:
    """Jails that share a filter that does not exist get one message, with where to write it."""
    jails = "".join(f'[jails.{n}]\nsource = "app"\nfilter = "nope"\n' for n in "ab")
    (error,) = folder.errors(SMALL + jails)
    assert error.startswith("DIR/main.toml: jails.a.filter: there is no filter 'nope'; known are ")
    assert error.endswith("; your own would be DIR/filters/nope.toml")


@settings(max_examples=100)
@given(
    table=st.sampled_from(["defaults", "jails.app", "sources.app", "accounts", "control", "log"]),
    key=st.sampled_from(["findtime", "bantime", "maxretry", "ignore", "path", "port", "filter",
                         "source", "journal", "timezone", "socket", "query", "level", "enabled"]),
    value=st.sampled_from(["nan", "-inf", "1e400", "0xffff_ffff_ffff_ffff_ffff", "true", '""',
                           "[]", "[[]]", "{}", "{a = 1}", "1979-05-27", '"\\u0000"', "[1, 'a']",
                           '"/\\u0000"', "'/'", "'..'", "-1", "9" * 400]),
)  # fmt: skip
def test_any_value_is_good_or_an_error(folder: Folder, table: str, key: str, value: str) -> None:
    """Whatever the value of a key, the outcome is a configuration or messages, never a crash."""
    folder.write("conf.d/z.toml", f"{table}.{key} = {value}")
    try:
        folder.load(SMALL)
    except ConfigError as error:
        problems = [problem for problem in error.problems if problem.key.startswith(table)]
    else:
        return
    assert problems
