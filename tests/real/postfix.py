"""A real Postfix on the lab's host, reduced to receiving mail, and SMTP sessions with it.

Configuration, queue and log are in a temporary folder; nothing of an installed Postfix is used but
its programs. One mailbox exists. No session gets as far as DATA, so nothing is ever delivered.

Known limit: it needs the user `postfix`, which comes with the package.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.real.lab import Lab
from tests.real.netns import end, run, wait_until

PORT = 25
MAILBOX = "alice@example.org"

_MAIN = """\
compatibility_level = 3.6
myhostname = mx.example.org
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = inline:{{ {{ {mailbox} = alice }} }}
smtpd_peername_lookup = no
smtpd_hard_error_limit = 20
"""
_MASTER = """\
smtp inet n - n - - smtpd
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
"""
_QUEUES = ("active", "deferred", "hold", "incoming", "maildrop", "private", "public")


def missing() -> str:
    """Why there can be no Postfix here, "" if there can."""
    return "" if shutil.which("postconf") else "this needs Postfix"


class Postfix:
    """The server: with Postfix(lab) as postfix: ...

    log: its mail log.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="mailbanned-postfix-"))
            undo.callback(shutil.rmtree, folder)
            self.log = folder / "postfix.log"
            _prepare(folder)
            undo.callback(end, self._start(folder))
            listening = f"sport = :{PORT}"
            wait_until(lambda: self._lab.host.exec("ss", "-Hltn", listening), "Postfix listens")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self, folder: Path) -> subprocess.Popen[str]:
        master = f"{run('postconf', '-d', '-h', 'daemon_directory').strip()}/master"
        with (folder / "output.log").open("w") as output:
            # It ends its children through its process group, so it must lead one.
            return self._lab.host.popen(
                master, "-c", str(folder / "etc"), "-d",
                stdout=output, stderr=output, process_group=0,
            )  # fmt: skip


def _prepare(folder: Path) -> None:
    owner = pwd.getpwnam("postfix")
    folder.chmod(0o755)  # Postfix's own user works in it
    for name in ("etc", "queue", "queue/pid"):
        (folder / name).mkdir()
    for name in ("data", *(f"queue/{name}" for name in _QUEUES)):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder, mailbox=MAILBOX))
    (folder / "etc" / "master.cf").write_text(_MASTER)


class Session:
    """An SMTP session from an attacker's address, as far as the first recipient.

    Every method raises ConnectionResetError once the session has been cut.
    """

    def __init__(self, lab: Lab, source: str) -> None:
        self._socket = lab.connect(source, PORT)
        self._replies = self._socket.makefile("r", newline="\r\n")
        self._reply()
        for command in ("EHLO client.example.net", "MAIL FROM:<a@example.net>"):
            assert self._say(command).startswith("250")

    def offer(self, recipient: str) -> str:
        """Postfix's answer to mail for a recipient."""
        return self._say(f"RCPT TO:<{recipient}>")

    def last(self) -> None:
        """Lasts, in silence, until it is cut."""
        assert not self._reply(), "Postfix said something that was not asked for"

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def _say(self, command: str) -> str:
        self._socket.sendall(f"{command}\r\n".encode())
        return self._reply()

    def _reply(self) -> str:
        """The last line of what Postfix answers."""
        while (line := self._replies.readline())[3:4] == "-":
            pass
        if not line:
            raise ConnectionResetError("Postfix has ended the session")
        return line
