"""Good configurations: defaults, overrides, conf.d, own filters, hints."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from mailbanned.config import SHIPPED
from mailbanned.jails import JailRules
from tests.config.support import DOOR, SMALL, Folder

LOCAL = (ip_network("127.0.0.0/8"), ip_network("::1"))


def test_a_small_file_is_enough(folder: Folder) -> None:
    """A source and a jail make a configuration; the rest has the documented defaults."""
    config = folder.load(SMALL)
    assert config.rules == (
        JailRules("door", "door", "door", 3, 3600.0, 86400.0, False, 64, LOCAL, True),
    )
    assert config.path == folder.main
    assert config.hints == ()
    file = config.file
    assert (file.firewall.backend, file.firewall.zone, file.firewall.verdict) == (
        "firewalld", "", "drop",
    )  # fmt: skip
    assert file.firewall.cut_sessions is True
    assert file.store.path == Path("/var/lib/mailbanned/state.db")
    assert (file.control.socket, file.control.group) == (
        Path("/run/mailbanned/control.sock"), "",
    )  # fmt: skip
    assert (file.log.format, file.log.level) == ("auto", "info")


def test_a_jail_overrides_defaults(folder: Folder) -> None:
    """What a jail says goes before [defaults], what it does not say is taken from there."""
    config = folder.load(
        """
        [defaults]
        findtime = "10m"
        bantime = "1h"
        maxretry = 5
        ignore = ["192.0.2.1"]
        ignore_own_addresses = false
        ipv6_prefix = 56
        [sources.door]
        path = "/var/log/door"
        [jails.a]
        source = "door"
        filter = "door"
        [jails.b]
        source = "door"
        filter = "door"
        findtime = 60
        bantime = "permanent"
        maxretry = 1
        accounts = "unknown"
        ignore = []
        ignore_own_addresses = true
        ipv6_prefix = 128
        """
    )
    mine = (ip_network("192.0.2.1"),)
    assert config.rules == (
        JailRules("a", "door", "door", 5, 600.0, 3600.0, False, 56, mine, False),
        JailRules("b", "door", "door", 1, 60.0, None, True, 128, (), True),
    )


def test_a_permanent_default_can_be_overridden(folder: Folder) -> None:
    """A jail's own ban time holds also where the default never ends, and the other way round."""
    folder.write("conf.d/a.toml", 'defaults.bantime = "permanent"')
    assert folder.load(SMALL).rules[0].bantime is None
    assert folder.load(SMALL + "bantime = 5").rules[0].bantime == 5.0


def test_conf_d_comes_later_in_name_order(folder: Folder) -> None:
    """Files of conf.d are read after the main file, by name; a later value wins."""
    folder.write("conf.d/20-b.toml", "defaults.maxretry = 20")
    folder.write("conf.d/10-a.toml", "defaults.maxretry = 10\ndefaults.findtime = 10")
    folder.write("conf.d/9.toml", "defaults.findtime = 9\ndefaults.bantime = 9")
    file = folder.load(SMALL + "\n[defaults]\nmaxretry = 1\nfindtime = 1\nipv6_prefix = 48\n").file
    found = file.defaults
    assert (found.maxretry, found.findtime, found.bantime) == (20, 9.0, 9.0)
    assert found.ipv6_prefix == 48


def test_tables_are_merged_and_lists_replaced(folder: Folder) -> None:
    """A later file changes single values of a jail, adds jails, and replaces a list as a whole."""
    folder.write(
        "conf.d/50-here.toml",
        """
        defaults.ignore = ["192.0.2.1"]
        jails.door.maxretry = 7
        [jails.back-door]
        source = "door"
        filter = "door"
        """,
    )
    config = folder.load('defaults.ignore = ["198.51.100.1", "198.51.100.2"]\n' + SMALL)
    assert [(rule.name, rule.maxretry) for rule in config.rules] == [("door", 7), ("back-door", 3)]
    assert config.rules[0].ignore == (ip_network("192.0.2.1"),)


def test_only_toml_files_of_conf_d(folder: Folder) -> None:
    """Backups, hidden files and notes in conf.d are not read, whatever they say."""
    for name in (".#50-here.toml", "50.toml~", "50.toml.bak", "README", ".hidden.toml"):
        folder.write(f"conf.d/{name}", "nonsense")
    assert len(folder.load(SMALL).rules) == 1


def test_disabled_jails_rest(folder: Folder) -> None:
    """A disabled jail is known by name and has rules, but none of those in force."""
    config = folder.load(SMALL + "enabled = false")
    assert config.rules == ()
    assert [rule.name for rule in config.resting] == ["door"]
    assert [rule.name for rule in config.every_rule()] == ["door"]
    assert config.hints == ("no jail is enabled, so nobody will ever be banned",)


def test_sources(folder: Folder) -> None:
    """A source is a path, or units and matches of the journal, and may have a time zone."""
    config = folder.load(
        """
        [sources.a]
        path = "/var/log/*.log"
        timezone = "Europe/Berlin"
        [sources.b]
        journal = ["ssh", "postfix@-.service", "CONTAINER_NAME=a mail=1"]
        """
    )
    a, b = config.file.sources["a"], config.file.sources["b"]
    entries = ["ssh", "postfix@-.service", "CONTAINER_NAME=a mail=1"]
    assert (a.path, a.journal, a.timezone) == ("/var/log/*.log", None, ZoneInfo("Europe/Berlin"))
    assert (b.path, b.journal, b.timezone) == (None, entries, None)


def test_a_filter_beside_the_main_file(folder: Folder) -> None:
    """An own filter of the folder is loaded with its patterns and samples."""
    door = folder.load(SMALL).filters["door"]
    assert [pattern.rule for pattern in door.patterns] == ["door/refused"]
    assert len(door.samples) == 2


def test_an_own_filter_goes_before_the_shipped_one(folder: Folder) -> None:
    """A filter of the folder replaces the shipped filter of its name, and only that one."""
    jails = SMALL + '[jails.sshd]\nsource = "door"\nfilter = "sshd"\n'
    shipped = folder.load(jails).filters
    assert shipped["sshd"].description != shipped["door"].description
    folder.write("filters/sshd.toml", DOOR)
    own = folder.load(jails).filters["sshd"]
    assert [pattern.rule for pattern in own.patterns] == ["sshd/refused"]
    assert (SHIPPED / "filters" / "sshd.toml").is_file()


@pytest.mark.parametrize(
    ("accounts", "asked"),
    [
        ('query = "SELECT a FROM b WHERE c = %(user)s"', "SELECT a FROM b WHERE c = %(user)s"),
        ('backend = "sqlite"\nquery = "SELECT a WHERE b LIKE %(user)s || \'@%%\'"',
         "SELECT a WHERE b LIKE :user || '@%'"),
        ('backend = "sqlite"\nquery = "SELECT a WHERE b = :user"', "SELECT a WHERE b = :user"),
    ],
)  # fmt: skip
def test_the_query_in_the_spelling_of_its_library(
    folder: Folder, accounts: str, asked: str
) -> None:
    """Each backend gets the query with the user and percent signs as its library wants them."""
    assert folder.load(f"{SMALL}\n[accounts]\n{accounts}").file.accounts.asked() == asked


@pytest.mark.parametrize(("backend", "mark"), [("mysql", "%(user)s"), ("sqlite", ":user")])
def test_a_default_query_for_each_backend(folder: Folder, backend: str, mark: str) -> None:
    """Without a query each backend asks PostfixAdmin's table, in its own spelling."""
    asked = folder.load(f"{SMALL}\n[accounts]\nbackend = '{backend}'").file.accounts.asked()
    assert asked.startswith(f"SELECT 1 FROM mailbox WHERE username = {mark}")
    assert ("%(user)s" in asked) is (backend == "mysql")


def test_a_configuration_is_frozen(folder: Folder) -> None:
    """Nobody changes a configuration that is in use."""
    file = folder.load(SMALL).file
    with pytest.raises(ValidationError):
        file.defaults.maxretry = 1


def test_a_source_may_be_moved(folder: Folder) -> None:
    """A later file makes a journal of a log file and back again, without undoing anything."""
    folder.write("conf.d/10.toml", '[sources.door]\njournal = ["door.service"]\n')
    source = folder.load(SMALL).file.sources["door"]
    assert (source.path, source.journal) == (None, ["door.service"])
    folder.write("conf.d/20.toml", '[sources.door]\npath = "/var/log/other"\n')
    source = folder.load(SMALL).file.sources["door"]
    assert (source.path, source.journal) == ("/var/log/other", None)


def test_two_places_in_one_file_are_an_error(folder: Folder) -> None:
    """Only another file may overrule; an empty list names no place."""
    both = SMALL.replace("[sources.door]", '[sources.door]\njournal = ["door.service"]')
    (error,) = folder.errors(both)
    assert "needs either path or journal" in error
    folder.write("conf.d/10.toml", "[sources.door]\njournal = []\n")
    (error,) = folder.errors(SMALL)
    assert error == (
        "DIR/conf.d/10.toml: sources.door.journal: is an empty list; "
        "name at least one, or leave the key out"
    )
