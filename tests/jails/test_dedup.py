"""Real sequences of lines, as servers write them: each login attempt counts once.

Most of them were written by OpenSSH 9.2 and 10.0 and Dovecot 2.3.19 and 2.4.1; only addresses,
names and ids are others.
"""

from __future__ import annotations

import pytest

from mailbanned.address import Subject
from mailbanned.jails.dedup import AttemptDeduplicator
from tests.filters.shipped import NOW, failures

A = "203.0.113.5"
SUBJECT = Subject(f"{A}/32")

Log = list[str]


def counted(name: str, passdb: str, log: Log) -> int:
    """How many attempts a jail with that filter, and that option `passdb`, counts in a log."""
    block = "".join(f"May  1 06:43:08 mx {line}\n" for line in log)
    deduplicator, total = AttemptDeduplicator(), 0
    for failure in failures(block.encode(), name):
        assert failure.address == A
        if not passdb or failure.passdb in (None, passdb):
            total += deduplicator.new_attempts(SUBJECT, failure, NOW)
    return total


PEER = f"{A} port 50122"
NOBODY = f"sshd-session[7]: Invalid user info from {PEER}"
FAILED = f"sshd-session[7]: Failed password for root from {PEER} ssh2"
FAILED_NOBODY = f"sshd-session[7]: Failed password for invalid user info from {PEER} ssh2"
CLOSED = f"sshd-session[7]: Connection closed by authenticating user root {PEER} [preauth]"
CLOSED_NOBODY = f"sshd-session[7]: Connection closed by invalid user info {PEER} [preauth]"
TOO_MANY = [
    "sshd-session[7]: error: maximum authentication attempts exceeded for root "
    f"from {PEER} ssh2 [preauth]",
    f"sshd-session[7]: Disconnecting authenticating user root {PEER}: "
    "Too many authentication failures [preauth]",
]
PAM = [
    "sshd-session[9]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh "
    f"ruser= rhost={A}  user=root",
    f"sshd-session[7]: error: PAM: Authentication failure for root from {A}",
]
PAM_NOBODY = [
    "sshd-session[9]: pam_unix(sshd:auth): check pass; user unknown",
    "sshd-session[9]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh "
    f"ruser= rhost={A}",
    "sshd-session[7]: error: PAM: User not known to the underlying authentication module "
    f"for illegal user info from {A}",
    f"sshd-session[7]: Failed keyboard-interactive/pam for invalid user info from {PEER} ssh2",
]
FAILED_KBD_INT = f"sshd-session[7]: Failed keyboard-interactive/pam for root from {PEER} ssh2"
FOLDED = FAILED.replace("Failed", "message repeated 2 times: [ Failed") + "]"
KEY = f"sshd-session[7]: Failed publickey for root from {PEER} ssh2: ED25519 SHA256:AA"
DROPPED = (
    f"sshd[1]: drop connection #0 from [{A}]:5 on [192.0.2.1]:22 penalty: failed authentication"
)


def elsewhere(process: int, line: str) -> str:
    """The same line of another process."""
    return line.replace("[7]", f"[{process}]")


SSHD: dict[str, tuple[int, Log]] = {
    "a wrong password for an account that does not exist": (
        1, [NOBODY, *PAM_NOBODY[:2], FAILED_NOBODY, CLOSED_NOBODY]),
    "three wrong passwords in one connection": (3, [*3 * [FAILED], CLOSED]),
    "the same, folded by the logger": (3, [FAILED, FOLDED, CLOSED]),
    "as many as sshd lets in one connection": (6, [*6 * [FAILED], *TOO_MANY]),
    "three connections with one wrong password each": (
        3, [elsewhere(pid, line) for pid in (7, 8, 9) for line in (FAILED, CLOSED)]),
    "a server that takes keys only": (3, [
        CLOSED, elsewhere(8, CLOSED), elsewhere(9, NOBODY), elsewhere(9, CLOSED_NOBODY)]),
    "several keys, then the right one": (
        0, [KEY, KEY, KEY.replace("Failed", "Accepted"),
            f"sshd-session[7]: Disconnected from user root {PEER}"]),
    "too many keys": (1, TOO_MANY),
    "keyboard-interactive for an account that does not exist": (
        1, [NOBODY, *PAM_NOBODY, CLOSED_NOBODY]),
    "keyboard-interactive, three wrong answers": (3, [*3 * PAM, CLOSED]),
    "keyboard-interactive, six wrong answers": (
        6, [*3 * PAM, *3 * [*PAM, FAILED_KBD_INT], *TOO_MANY]),
    "an account that AllowUsers refuses": (1, [
        f"sshd-session[7]: User info from {A} not allowed because not listed in AllowUsers",
        FAILED_NOBODY, CLOSED_NOBODY]),
    "the right password for root, who is refused": (
        1, [f"sshd-session[7]: ROOT LOGIN REFUSED FROM {PEER}", FAILED, CLOSED]),
    "penalties: every dropped connection is an attempt": (4, [FAILED, CLOSED, *3 * [DROPPED]]),
}  # fmt: skip


REST = f"user=<bob>, method=PLAIN, rip={A}, lip=192.0.2.10, TLS, session=<V3EE8d9g>"
MISMATCH, UNKNOWN = "Password mismatch", "unknown user"


def login(attempts: int) -> str:
    """The line at the end of a connection of Dovecot 2.4."""
    reason = f"(auth failed, {attempts} attempts in 9 secs) (auth_failed)"
    return f"dovecot: imap-login: Login aborted: Logged out {reason}: {REST}"


def first(verdict: str) -> str:
    """What the passdb says that is asked first."""
    return f"dovecot: auth(bob,{A},sasl:plain)<V3EE8d9g>: passwd-file: {verdict}"


def last(verdict: str, passdb: str = "sql") -> str:
    """What the passdb says that is asked last."""
    return f"dovecot: auth-worker(bob,{A})<19><V3EE8d9g>: request [1]: {passdb}: {verdict}"


def at_postfix(line: str) -> str:
    """The same for a login at Postfix: without a session."""
    return line.replace("<V3EE8d9g>", "")


WORKER_2_3 = (
    "dovecot: auth-worker(19): conn unix:auth-worker (pid=1,uid=97): auth-worker<1>: "
    f"sql(bob,{A},<V3EE8d9g>): Password mismatch"
)
LOGIN_2_3 = f"dovecot: pop3-login: Disconnected (auth failed, 2 attempts in 4 secs): {REST}"

DOVECOT: dict[str, tuple[int, str, Log]] = {
    "without auth_verbose, two connections": (
        2, "", [login(1), login(1).replace("V3EE8d9g", "ozQO8d9g")]),
    "without auth_verbose, three attempts in one connection": (3, "", [login(3)]),
    "the same without a session": (3, "", [login(3).partition(", session=")[0]]),
    "more than a line is believed": (20, "", [login(999), login(10**40)]),
    "with auth_verbose": (1, "", [last(MISMATCH), login(1)]),
    "the same in 2.3, two wrong passwords": (2, "", [*2 * [WORKER_2_3], LOGIN_2_3]),
    "three wrong passwords in one connection": (3, "", [*3 * [last(MISMATCH)], login(3)]),
    "a known and an unknown account": (2, "", [last(UNKNOWN), last(MISMATCH), login(2)]),
    "two passdbs": (1, "", [first(MISMATCH), last(UNKNOWN), login(1)]),
    "two passdbs, three attempts": (
        3, "", [*3 * [first(UNKNOWN), last(MISMATCH)], login(3)]),
    "two passdbs, of which the last counts": (
        3, "sql", [*3 * [first(UNKNOWN), last(MISMATCH)], login(3)]),
    "two passdbs, a good login": (
        0, "sql", [first(UNKNOWN), f"dovecot: imap-login: Logged in: {REST}"]),
    "two passdbs, two attempts at Postfix": (
        2, "sql", 2 * [at_postfix(first(UNKNOWN)), at_postfix(last(MISMATCH))]),
    "a name that is not looked up": (
        1, "", [f"dovecot: auth(?,{A},sasl:plain)<V3EE8d9g>: plain: Username character disallowed "
                "by auth_username_chars: 0x2c (username: a,b)", login(1)]),
    "a mechanism that compares by itself": (
        1, "sql", [f"dovecot: auth(bob,{A},sasl:cram-md5)<V3EE8d9g>: cram-md5: Password mismatch",
                   login(1)]),
    "PAM": (2, "", [
        *2 * ["auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 "
              f"tty=dovecot ruser=bob rhost={A}  user=bob",
              last("pam_authenticate() failed: Authentication failure (Password mismatch?)",
                   "pam")],
        login(2)]),
    "our database is down": (0, "", [
        last("Password query failed: Not connected to database").replace("sql", "Error: sql"),
        "dovecot: imap-login: Login aborted: Logged out (auth service reported temporary failure, "
        f"1 attempts in 62 secs) (temp_fail): {REST}"]),
}  # fmt: skip


@pytest.mark.parametrize(("count", "log"), SSHD.values(), ids=SSHD)
def test_attempts_over_ssh_count_once(count: int, log: Log) -> None:
    """However many lines sshd and PAM write of an attempt, and whether any or only the last."""
    assert counted("sshd", "", log) == count


@pytest.mark.parametrize(("count", "passdb", "log"), DOVECOT.values(), ids=DOVECOT)
def test_attempts_at_dovecot_count_once(count: int, passdb: str, log: Log) -> None:
    """Whichever of its processes tell of an attempt, and however many databases they asked."""
    assert counted("dovecot", passdb, log) == count


@pytest.mark.parametrize("passdb", ["", "sql"])
def test_an_account_is_unknown_once(passdb: str) -> None:
    """Two passdbs that do not have the account are one attempt at an unknown account."""
    log = [first(UNKNOWN), last(UNKNOWN), login(1)]
    assert counted("dovecot-unknown", passdb, log) == 1
