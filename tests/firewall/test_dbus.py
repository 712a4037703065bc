"""The guarded bus connection: every call answers or fails, whatever the other side does."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailbanned.firewall.dbus import BusError, ErrorReply, Signal, SystemBus
from tests.firewall.fakebus import FakeBus, error, listening, silence, values
from tests.waiting import HANG_S, until

pytestmark = pytest.mark.usefixtures("skipping")
TIMEOUT = 5.0


class Client:
    """A SystemBus, with the signals it received."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.broken: list[str] = []
        self.bus = SystemBus(self.signals.append, self.broken.append, TIMEOUT)

    async def call(self, member: str) -> list[object]:
        return await self.bus.call("org.example", "/org/example", "org.example.Thing", member)


@contextmanager
def alarm() -> Iterator[None]:
    """Fails a block that blocks the event loop for ever."""

    def ring(*_: object) -> None:
        raise AssertionError("the loop is blocked")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(int(HANG_S))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeBus]:
    async with listening(tmp_path / "bus") as server:
        yield server
    gc.collect()  # a socket that was left open is a warning, and so an error


async def test_calls_and_signals(server: FakeBus) -> None:
    """A reply's values come back, and signals arrive in order with their sender."""
    server.answers["Greet"] = values("sas", "hello", ["a", "b"])
    client = Client()
    await client.bus.open(server.address)
    assert await client.call("Greet") == ["hello", ["a", "b"]]
    server.signal(":1.7", "org.example.Thing", "Moved", "there")
    server.signal(":1.7", "org.example.Thing", "Stopped")
    await until(lambda: len(client.signals) == 2, "both signals came")
    assert client.signals[0] == Signal(":1.7", "org.example.Thing", "Moved", ["there"])
    assert client.signals[1].member == "Stopped"
    await client.bus.close()
    assert client.broken == []


async def test_an_error_reply_keeps_its_name_and_text(server: FakeBus) -> None:
    """An ERROR message becomes ErrorReply, so that the code in it can be read."""
    server.answers["Fail"] = error("org.example.Bad", "CODE: it is bad")
    client = Client()
    await client.bus.open(server.address)
    with pytest.raises(ErrorReply) as caught:
        await client.call("Fail")
    assert (caught.value.name, caught.value.text) == ("org.example.Bad", "CODE: it is bad")
    await client.bus.close()


@pytest.mark.parametrize(
    ("at_auth", "words"),
    [
        ("", "during authentication"),
        ("REJECTED EXTERNAL", "authentication failed"),
        ("NONSENSE", "cannot be reached"),
    ],
)
async def test_a_failed_authentication_ends_at_once(
    server: FakeBus, at_auth: str, words: str
) -> None:
    """Hanging up or refusing during authentication is an error, not an endless loop."""
    server.at_auth = at_auth
    client = Client()
    with alarm(), pytest.raises(BusError, match=words):
        await client.bus.open(server.address)


async def test_silence_during_authentication_ends(server: FakeBus) -> None:
    """A bus that accepts and says nothing is given up after the timeout."""
    server.at_auth = None
    with pytest.raises(BusError, match="cannot be reached: no answer in time"):
        await Client().bus.open(server.address)


async def test_hanging_up_after_authentication_ends(server: FakeBus) -> None:
    """A bus that goes away before its greeting cannot be used."""
    client = Client()
    opening = asyncio.create_task(client.bus.open(server.address))
    server.answers["Hello"] = lambda _: server.hang_up()
    began = now()
    with pytest.raises(BusError, match="cannot be reached"):
        await opening
    assert now() == began, "nothing was waited for"


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "unix:nonsense", "", "bogus:x=y"])
async def test_a_bus_that_is_not_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, or no address that means anything, is one plain error."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    with pytest.raises(BusError, match="the system bus cannot be reached: "):
        await Client().bus.open(address)
    gc.collect()


async def test_the_system_bus_is_found_by_its_variable(
    server: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address, DBUS_SYSTEM_BUS_ADDRESS decides."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", server.address)
    client = Client()
    await client.bus.open(None)
    await client.bus.close()


async def test_a_call_without_an_answer_ends(server: FakeBus) -> None:
    """A silent service costs its timeout and names what was asked; the next call works."""
    server.answers["Sleep"] = silence
    client = Client()
    await client.bus.open(server.address)
    began = now()
    with pytest.raises(BusError, match=r"org\.example did not answer Sleep in 5 s"):
        await client.call("Sleep")
    assert now() - began == pytest.approx(TIMEOUT)
    assert await client.call("Other") == []
    await client.bus.close()


async def test_a_broken_connection_ends_all_calls_and_is_reported_once(server: FakeBus) -> None:
    """Calls in flight fail, later ones fail at once, and the loss is reported once."""
    server.answers["Sleep"] = silence
    client = Client()
    await client.bus.open(server.address)
    calls = [asyncio.create_task(client.call("Sleep")) for _ in range(6)]
    await until(lambda: len(server.calls) == 4, "four calls are under way")
    server.hang_up()
    began = now()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [BusError] * 6
    with pytest.raises(BusError, match="is gone"):
        await client.call("Other")
    assert now() == began, "nothing was waited for"
    await client.bus.close()
    assert len(client.broken) == 1


async def test_closing_ends_calls_in_flight_without_telling_a_loss(server: FakeBus) -> None:
    """Our own close is no loss; closing twice does no harm, and calls afterwards fail at once."""
    server.answers["Sleep"] = silence
    client = Client()
    await client.bus.open(server.address)
    call = asyncio.create_task(client.call("Sleep"))
    await until(lambda: server.calls, "the call is under way")
    began = now()
    await client.bus.close()
    await client.bus.close()
    with pytest.raises(BusError):
        await call
    assert now() == began, "nothing was waited for"
    with pytest.raises(BusError, match="is gone"):
        await client.call("Other")
    assert client.broken == []


async def test_a_cancelled_opening_leaves_nothing_open(server: FakeBus) -> None:
    """Stopping in the middle of the authentication closes the socket."""
    server.at_auth = None
    opening = asyncio.create_task(Client().bus.open(server.address))
    await asyncio.sleep(TIMEOUT / 2)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_at_most_four_calls_are_under_way(server: FakeBus) -> None:
    """firewalld works on one call at a time: a longer queue would only make urgent calls wait."""
    server.answers["Sleep"] = silence
    client = Client()
    await client.bus.open(server.address)
    calls = [asyncio.create_task(client.call("Sleep")) for _ in range(5)]
    await until(lambda: len(server.calls) == 4, "four calls are under way")
    assert await asyncio.wait(calls, timeout=TIMEOUT / 2) == (set(), set(calls))
    assert len(server.calls) == 4
    await asyncio.gather(*calls, return_exceptions=True)
    assert len(server.calls) == 5
    await client.bus.close()
