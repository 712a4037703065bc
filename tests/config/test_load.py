"""Good configurations: defaults, overrides, conf.d, own filters, warnings."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailbanned.config import SHIPPED
from mailbanned.jails import JailSettings
from tests.config.support import APP, SMALL, Folder

LOCAL = (ip_network("127.0.0.0/8"), ip_network("::1"))


def test_a_small_file_is_enough(folder: Folder) -> None:
    """A source and a jail make a configuration; the rest has the documented defaults."""
    config = folder.load(SMALL)
    assert config.jails == (
        JailSettings(
            name="app",
            source="app",
            filter="app",
            maxretry=3,
            findtime=3600.0,
            bantime=86400.0,
            ipv6_prefix=64,
            ignore=LOCAL,
            ignore_own_addresses=True,
        ),
    )
    assert config.path == folder.main
    assert config.warnings == ()
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
    """A jail's own value replaces the one of [defaults]; the others are inherited."""
    config = folder.load(
        """
        [defaults]
        findtime = "10m"
        bantime = "1h"
        maxretry = 5
        ignore = ["192.0.2.1"]
        ignore_own_addresses = false
        ipv6_prefix = 56
        [sources.app]
        path = "/var/log/app"
        [jails.a]
        source = "app"
        filter = "app"
        [jails.b]
        source = "app"
        filter = "app"
        findtime = 60
        bantime = "permanent"
        maxretry = 1
        accounts = "unknown"
        ignore = []
        ignore_own_addresses = true
        ipv6_prefix = 128
        """
    )
    assert config.jails == (
        JailSettings(
            name="a",
            source="app",
            filter="app",
            maxretry=5,
            findtime=600.0,
            bantime=3600.0,
            ipv6_prefix=56,
            ignore=(ip_network("192.0.2.1"),),
            ignore_own_addresses=False,
        ),
        JailSettings(
            name="b",
            source="app",
            filter="app",
            maxretry=1,
            findtime=60.0,
            bantime=None,
            unknown_accounts=True,
            ipv6_prefix=128,
            ignore=(),
            ignore_own_addresses=True,
        ),
    )


def test_a_permanent_default_can_be_overridden(folder: Folder) -> None:
    """A jail's own ban time holds also where the default never ends, and the other way round."""
    folder.write("conf.d/a.toml", 'defaults.bantime = "permanent"')
    assert folder.load(SMALL).jails[0].bantime is None
    assert folder.load(SMALL + "bantime = 5").jails[0].bantime == 5.0


def test_conf_d_comes_later_in_name_order(folder: Folder) -> None:
    """Files of conf.d are read after the main file, by name; a later value wins."""
    folder.write("conf.d/20-b.toml", "defaults.maxretry = 20")
    folder.write("conf.d/10-a.toml", "defaults.maxretry = 10\ndefaults.findtime = 10")
    folder.write("conf.d/9.toml", "defaults.findtime = 9\ndefaults.bantime = 9")
    file = folder.load(SMALL + "\n[defaults]\nmaxretry = 1\nfindtime = 1\nipv6_prefix = 48\n").file
    defaults = file.defaults
    assert (defaults.maxretry, defaults.findtime, defaults.bantime) == (20, 9.0, 9.0)
    assert defaults.ipv6_prefix == 48


def test_tables_are_merged_and_lists_replaced(folder: Folder) -> None:
    """A later file changes single values of a jail, adds jails, and replaces a list as a whole."""
    folder.write(
        "conf.d/50-here.toml",
        """
        defaults.ignore = ["192.0.2.1"]
        jails.app.maxretry = 7
        [jails.app-strict]
        source = "app"
        filter = "app"
        """,
    )
    config = folder.load('defaults.ignore = ["198.51.100.1", "198.51.100.2"]\n' + SMALL)
    assert [(jail.name, jail.maxretry) for jail in config.jails] == [("app", 7), ("app-strict", 3)]
    assert config.jails[0].ignore == (ip_network("192.0.2.1"),)


def test_only_toml_files_of_conf_d(folder: Folder) -> None:
    """Backups, hidden files and notes in conf.d are not read, whatever they say."""
    for name in (".#50-here.toml", "50.toml~", "50.toml.bak", "README", ".hidden.toml"):
        folder.write(f"conf.d/{name}", "nonsense")
    assert len(folder.load(SMALL).jails) == 1


def test_disabled_jails(folder: Folder) -> None:
    """A disabled jail has settings, but is not among the enabled ones."""
    config = folder.load(SMALL + "enabled = false")
    assert config.jails == ()
    assert [jail.name for jail in config.disabled] == ["app"]
    assert [jail.name for jail in config.all_jails()] == ["app"]
    assert config.warnings == ("no jail is enabled, so no address will be banned",)


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
    app = folder.load(SMALL).filters["app"]
    assert [pattern.full_name for pattern in app.patterns] == ["app/failed-login"]
    assert len(app.samples) == 2


def test_an_own_filter_goes_before_the_shipped_one(folder: Folder) -> None:
    """A filter of the folder replaces the shipped filter of its name, and only that one."""
    jails = SMALL + '[jails.sshd]\nsource = "app"\nfilter = "sshd"\n'
    shipped = folder.load(jails).filters
    assert shipped["sshd"].description != shipped["app"].description
    folder.write("filters/sshd.toml", APP)
    own = folder.load(jails).filters["sshd"]
    assert [pattern.full_name for pattern in own.patterns] == ["sshd/failed-login"]
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
    assert folder.load(f"{SMALL}\n[accounts]\n{accounts}").file.accounts.effective_query() == asked


@pytest.mark.parametrize(("backend", "mark"), [("mysql", "%(user)s"), ("sqlite", ":user")])
def test_a_default_query_for_each_backend(folder: Folder, backend: str, mark: str) -> None:
    """Without a query each backend asks PostfixAdmin's table, in its own spelling."""
    asked = folder.load(
        f"{SMALL}\n[accounts]\nbackend = '{backend}'"
    ).file.accounts.effective_query()
    assert asked.startswith(f"SELECT 1 FROM mailbox WHERE username = {mark}")
    assert ("%(user)s" in asked) is (backend == "mysql")


def test_a_configuration_is_frozen(folder: Folder) -> None:
    """A loaded configuration cannot be changed."""
    file = folder.load(SMALL).file
    with pytest.raises(FrozenInstanceError):
        file.defaults.maxretry = 1  # type: ignore[misc]


def test_a_source_may_be_moved(folder: Folder) -> None:
    """A later file makes a journal of a log file and back again, without undoing anything."""
    folder.write("conf.d/10.toml", '[sources.app]\njournal = ["app.service"]\n')
    source = folder.load(SMALL).file.sources["app"]
    assert (source.path, source.journal) == (None, ["app.service"])
    folder.write("conf.d/20.toml", '[sources.app]\npath = "/var/log/other"\n')
    source = folder.load(SMALL).file.sources["app"]
    assert (source.path, source.journal) == ("/var/log/other", None)


def test_two_places_in_one_file_are_an_error(folder: Folder) -> None:
    """Only another file may overrule; an empty list names no place."""
    both = SMALL.replace("[sources.app]", '[sources.app]\njournal = ["app.service"]')
    (error,) = folder.errors(both)
    assert "needs either path or journal" in error
    folder.write("conf.d/10.toml", "[sources.app]\njournal = []\n")
    (error,) = folder.errors(SMALL)
    assert error == (
        "DIR/conf.d/10.toml: sources.app.journal: is an empty list; "
        "name at least one, or leave the key out"
    )
