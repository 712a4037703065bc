"""MySQLLookup through restarts, slow queries, dead connections and bursts on a real MariaDB."""

from __future__ import annotations

import asyncio

import pytest

from mailbanned.accounts import AccountsDown, mysql
from tests.real.enforcing import settles
from tests.real.mail_database import EQUAL, MailDatabase, becomes, cached, tcp_server
from tests.waiting import HANG_S

pytestmark = pytest.mark.real

SLOW = EQUAL.replace("LIMIT", "AND IF(%(user)s = 'slow@example.org', SLEEP(3600), 0) = 0 LIMIT")

_SLEEPING = """
    SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'mailbanned' AND INFO LIKE '%SLEEP%'
"""


def kill_sleeping(mail: MailDatabase) -> None:
    """Ends slow queries, which would hold up whoever changes the database next."""
    for query in mail.server.execute(_SLEEPING):
        mail.server.execute(f"KILL {query}")


class Relay:
    """A way to the server whose connections can die in silence, as behind a firewall."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._dead = asyncio.Event()

    def forget(self) -> None:
        """From now on the present connections carry nothing; new ones do."""
        self._dead.set()
        self._dead = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the client's side."""
        dead = self._dead
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if not dead.is_set():
                    target.write(data)
            target.close()

        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))


async def test_outage(mail: MailDatabase) -> None:
    """A stopped server is "cannot tell"; it answers again once it is back."""
    accounts = cached(mail.lookup())
    assert await accounts.exists("alice") is True
    mail.server.stop()
    try:
        assert await accounts.exists("retired") is None
        assert accounts.state().state == "down"
    finally:
        mail.server.start()
    await becomes(accounts, "retired", True)
    assert accounts.state().state == "up"


async def test_restart(mail: MailDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart between two queries is not noticed, on none of the connections."""
    monkeypatch.setattr(mysql, "_PATIENCE_S", 0)  # else there is but one
    lookup = mail.lookup()
    for _ in range(2):
        names = ("alice", "retired", "mallory")
        assert await asyncio.gather(*map(lookup.exists, names)) == [True, True, False]
        mail.server.restart()
    assert [await lookup.exists(name) for name in names] == [True, True, False]


async def test_silent_connections(mail: MailDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one idle connection turns out dead, no query is lost on those that idled beside it."""
    monkeypatch.setattr(mysql, "_PATIENCE_S", 0)
    relay = Relay(mail.server.port)
    async with tcp_server(relay.serve) as port:
        lookup = mail.lookup(port=port)
        await asyncio.gather(*map(lookup.exists, ("alice", "retired", "mallory")))
        relay.forget()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await lookup.exists("alice")
        async with asyncio.timeout(HANG_S):
            assert await lookup.exists("alice") is True
        await lookup.close()


async def test_slow_query(mail: MailDatabase) -> None:
    """A query that takes too long is "cannot tell", and spoils no later answer."""
    accounts = cached(mail.lookup(SLOW), timeout=0.3)
    await becomes(accounts, "alice@example.org", True)
    try:
        assert await accounts.exists("slow@example.org") is None
        await becomes(accounts, "mallory", False)
        await becomes(accounts, "retired@example.org", True)
        await becomes(accounts, "mallory2", False)
    finally:
        kill_sleeping(mail)


async def test_a_slow_query_holds_nobody_up(mail: MailDatabase) -> None:
    """Others wait for its connection only for a moment, and then make their own."""
    lookup = mail.lookup(SLOW)
    slow = asyncio.create_task(lookup.exists("slow@example.org"))
    try:
        await settles(lambda: mail.server.execute(_SLEEPING), "the slow query runs")
        assert await lookup.exists("mallory") is False
        assert await lookup.exists("retired@example.org") is True
        assert not slow.done()
    finally:
        kill_sleeping(mail)
    with pytest.raises(AccountsDown):
        await slow


async def test_new_account(mail: MailDatabase) -> None:
    """An account that was just created is seen as soon as its "no" is forgotten."""
    accounts = cached(mail.lookup(), unknown_for=0.3)
    assert await accounts.exists("carol") is False
    mail.server.execute("INSERT INTO mailserver.mailbox VALUES ('carol@example.org', 1)")
    await becomes(accounts, "carol", True)


@pytest.mark.parametrize(("patience", "most"), [(0, 4), (HANG_S, 1)])
async def test_load(
    mail: MailDatabase, monkeypatch: pytest.MonkeyPatch, patience: float, most: int
) -> None:
    """A burst of lines makes one query for each name, over four connections at most, and over one
    if each is quick.
    """
    monkeypatch.setattr(mysql, "_PATIENCE_S", patience)
    mail.server.execute(
        "TRUNCATE mysql.general_log; SET GLOBAL log_output = 'TABLE', general_log = ON"
    )
    accounts = cached(mail.lookup())
    names = [f"user{n}" for n in range(50)] * 10
    assert await asyncio.gather(*map(accounts.exists, names)) == [False] * 500
    log = "SELECT COUNT(*) FROM mysql.general_log WHERE user_host LIKE '%mailbanned%' AND "
    queries = mail.server.execute(log + "argument LIKE 'SELECT 1 FROM mailbox%'")
    connections = mail.server.execute(log + "command_type = 'Connect'")
    assert queries == ["50"]
    assert 1 <= int(connections[0]) <= most
