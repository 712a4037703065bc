"""What happens to a mail host in a bad minute: log lines, and who must be banned for them.

No I/O and no clock: lines have no time stamp yet. Addresses are those kept for documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

#: (log, line): what a server writes into its log, from the host name (or the tag) on.
Entry = tuple[str, str]
#: (jail, subject)
Verdict = tuple[str, str]

POSTFIX, DOVECOT, SECURE = "postfix.log", "dovecot.log", "secure"

ACCOUNTS = ("alice@example.org", "bob@example.org", "carol@example.org", "dave@example.org")
#: The office network: on the ignore list.
IGNORED = "192.0.2.0/24"

#: The day's ordinary lines, which must never count.
_GREYLISTED = (
    "mx postfix/smtpd[977]: NOQUEUE: reject: RCPT from mail.example.com[198.51.100.50]: 450 4.2.0 "
    "<bob@example.org>: Recipient address rejected: Greylisted; from=<eve@example.com> "
    "to=<bob@example.org> proto=ESMTP helo=<mail.example.com>"
)
_LOGGED_IN = (
    "imap-login: Info: Logged in: user=<carol@example.org>, method=PLAIN, rip=198.51.100.51, "
    "lip=192.0.2.10, mpid=4242, TLS, session=<x7Tq1z>"
)
_TRAFFIC = (
    (POSTFIX, "mx postfix/smtpd[977]: connect from mail.example.com[198.51.100.50]"),
    (POSTFIX, _GREYLISTED),
    (DOVECOT, _LOGGED_IN),
    (POSTFIX, "mx postfix/qmgr[820]: 4cXk2L0vZ9z1: removed"),
    (SECURE, "mx sshd-session[470]: Accepted publickey for dave from 198.51.100.52 port 5010 ssh2"),
)


@dataclass(frozen=True, slots=True)
class Attack:
    """A phase of the show: its title, what is written, and the bans that must follow from it."""

    title: str
    entries: tuple[Entry, ...]
    bans: frozenset[Verdict] = frozenset()


def quiet() -> list[Entry]:
    """What the servers wrote before anybody attacked."""
    return [
        (POSTFIX, "mx postfix/postfix-script[811]: starting the Postfix mail system"),
        (DOVECOT, "master: Info: Dovecot v2.4.1 starting up for imap, lmtp"),
        (SECURE, "mx sshd[702]: Server listening on 0.0.0.0 port 22."),
    ]


def attacks() -> list[Attack]:
    """The whole show in its order."""
    return [sasl_wave(), sasl_guessing(), typos(), imap(), harvest(), ssh(), ipv6(), office()]


def sasl_wave() -> Attack:
    """Many addresses at once, each with another account that does not exist."""
    names = ("info", "admin", "sales", "test", "scanner", "backup", "office", "support", "contact")
    users = [f"{name}@example.org" for name in (*names, "shopping", "newsletter")]
    # A name that looks like a log line, to have somebody else banned.
    users.append("x[198.51.100.99]: SASL LOGIN authentication failed: y, sasl_username=admin")
    sources = [f"203.0.113.{n}" for n in range(11, 11 + len(users))]
    entries = [_sasl(address, user) for address, user in zip(sources, users, strict=True)]
    return Attack(
        f"the SASL wave: {len(users)} addresses, each with another account that does not exist",
        _among_traffic(entries),
        _bans("postfix-sasl-unknown", *sources),
    )


def sasl_guessing() -> Attack:
    """Passwords of an account that does exist: only the lenient jail may act."""
    entries = [_sasl("203.0.113.40", "bob@example.org") for _ in range(3)]
    title = "password guessing: one address, three wrong passwords of an account that exists"
    return Attack(title, _among_traffic(entries), _bans("postfix-sasl", "203.0.113.40"))


def typos() -> Attack:
    """A real user who is not awake yet."""
    address, user = "198.51.100.23", "alice@example.org"
    success = f"mx postfix/submission/smtpd[913]: 4cXk2L0vZ9z1: client=unknown[{address}], "
    success += f"sasl_method=PLAIN, sasl_username={user}"
    return Attack(
        "a user mistypes the password twice and then gets in: nobody may be banned",
        (_sasl(address, user), _sasl(address, user), (POSTFIX, success)),
    )


def imap() -> Attack:
    """IMAP logins: accounts that Dovecot does not know, and wrong passwords of one it knows."""
    users = ("webmaster", "postmaster", "mysql", "root", "demo")
    sources = [f"203.0.113.{n}" for n in range(60, 60 + len(users))]
    entries = [_imap_unknown(address, user) for address, user in zip(sources, users, strict=True)]
    entries += [_imap_failed("203.0.113.70", "carol@example.org") for _ in range(3)]
    return Attack(
        f"IMAP: {len(users)} addresses with unknown accounts, one with three wrong passwords",
        _among_traffic(entries),
        _bans("dovecot-unknown", *sources) | _bans("dovecot", "203.0.113.70"),
    )


def harvest() -> Attack:
    """Twenty recipients in one session, to find out who exists. The third is one too many."""
    address = "198.51.100.178"
    head = f"mx postfix/smtpd[977]: NOQUEUE: reject: RCPT from unknown[{address}]: 550 5.1.1"
    entries = [(POSTFIX, f"mx postfix/smtpd[977]: connect from unknown[{address}]")]
    for n in range(20):
        recipient = f"{n * 7919 % 100_000:05d}hcwh5m@example.org"
        entries.append((
            POSTFIX,
            f"{head} <{recipient}>: Recipient address rejected: User unknown in virtual mailbox "
            f"table; from=<probe@example.net> to=<{recipient}> proto=ESMTP helo=<probe>",
        ))  # fmt: skip
    end = f"too many errors after RCPT from unknown[{address}]"
    entries.append((POSTFIX, f"mx postfix/smtpd[977]: {end}"))
    title = "the recipient harvest: 20 probes in one session"
    return Attack(title, tuple(entries), _bans("postfix-rcpt-unknown", address))


def ssh() -> Attack:
    """SSH: names that this host does not have, and passwords of one that it has."""
    sources = ("203.0.113.80", "203.0.113.81")
    entries = [_ssh_invalid(sources[0], "oracle"), _ssh_invalid(sources[1], "pi")]
    entries += [_ssh_failed("203.0.113.90") for _ in range(3)]
    return Attack(
        "SSH: two unknown users, and three wrong passwords of root",
        _among_traffic(entries),
        _bans("sshd-unknown", *sources) | _bans("sshd", "203.0.113.90"),
    )


def ipv6() -> Attack:
    """An attacker with a whole IPv6 network, who takes a fresh address for every attempt."""
    entries = [_sasl(f"2001:db8:bad:1::{n:x}", "dave@example.org") for n in (0xA, 0xB00, 0xC0DE)]
    title = "IPv6: three addresses of one /64, one attempt each"
    return Attack(title, tuple(entries), _bans("postfix-sasl", "2001:db8:bad:1::/64"))


def office() -> Attack:
    """Somebody on the ignore list does all of it; a last attacker shows that all was counted."""
    address, last = "192.0.2.44", "203.0.113.99"
    entries = [_sasl(address, "nobody@example.org") for _ in range(4)]
    entries += [_ssh_invalid(address, "guest"), _imap_unknown(address, "nobody")]
    entries += [_sasl(last, "nobody@example.org")]
    return Attack(
        f"{address} of the ignored office network fails at everything, and one more attacker",
        tuple(entries),
        _bans("postfix-sasl-unknown", last),
    )


def _bans(jail: str, *subjects: str) -> frozenset[Verdict]:
    """Who is banned by a jail; a single address stands for its /32."""
    return frozenset((jail, one if "/" in one else f"{one}/32") for one in subjects)


def _sasl(address: str, user: str) -> Entry:
    head = f"mx postfix/submission/smtpd[913]: warning: unknown[{address}]"
    text = f"{head}: SASL LOGIN authentication failed: (reason unavailable), sasl_username={user}"
    return POSTFIX, text


def _imap_unknown(address: str, user: str) -> Entry:
    worker = f"auth-worker({user},{address})<88><kq1Xm>"
    return DOVECOT, f"{worker}: request [7]: Info: sql: unknown user"


def _imap_failed(address: str, user: str) -> Entry:
    why = "Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) (auth_failed)"
    who = f"user=<{user}>, method=PLAIN, rip={address}, lip=192.0.2.10, TLS, session=<Zb0yRq>"
    return DOVECOT, f"imap-login: Info: {why}: {who}"


def _ssh_invalid(address: str, user: str) -> Entry:
    return SECURE, f"mx sshd-session[4711]: Invalid user {user} from {address} port 50122"


def _ssh_failed(address: str) -> Entry:
    return SECURE, f"mx sshd-session[4712]: Failed password for root from {address} port 50123 ssh2"


def _among_traffic(entries: list[Entry]) -> tuple[Entry, ...]:
    """The attack's lines, an ordinary one before each."""
    return tuple(entry for pair in zip(cycle(_TRAFFIC), entries, strict=False) for entry in pair)
