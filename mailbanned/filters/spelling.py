"""How filter files spell a pattern, and what that means in RE2.

<ADDR>                  the client's address (also spelled <HOST>)
<USER>                  the attempted account: anything
<F-USER>...</F-USER>    the attempted account, where it must look like what stands between
<SESSION>...</SESSION>  the server's name of the connection: lines of one session that tell of
                        the same attempt count once
<PASSDB>...</PASSDB>    the account database that refused
<TIMES>...</TIMES>      a number: so many attempts does the line tell of
<MAIL>                  a mail address in angle brackets as Postfix writes it; what stands in
                        quotes inside it may be anything, even brackets and whole messages
"""

from __future__ import annotations

import re

_PLAIN = {
    "<HOST>": "<ADDR>",
    "<ADDR>": r"(?P<addr>[0-9A-Fa-f:.]+)",
    "<USER>": r"(?P<user>.*)",
    "<MAIL>": r"""<(?:"(?:[^"\\]|\\.)*"|[^">])*>""",
}
_AROUND = {"F-USER": "user", "SESSION": "session", "PASSDB": "passdb", "TIMES": "times"}
_TAG = re.compile(r"</?[A-Z][A-Z0-9_-]*>")


class SpellingError(ValueError):
    """A pattern whose tags cannot be understood; the text says why."""


def expand(pattern: str) -> str:
    """The pattern with our tags, and fail2ban's spellings of them, written out."""
    for tag, meaning in _PLAIN.items():
        pattern = pattern.replace(tag, meaning)
    for tag, group in _AROUND.items():
        if pattern.count(f"<{tag}>") != pattern.count(f"</{tag}>"):
            raise SpellingError(f"<{tag}> and </{tag}> do not stand in pairs")
        pattern = pattern.replace(f"<{tag}>", f"(?P<{group}>").replace(f"</{tag}>", ")")
    if left := _TAG.search(pattern):
        known = ", ".join(f"<{tag}>" for tag in ("ADDR", "USER", "MAIL", *_AROUND))
        raise SpellingError(f"unknown tag {left[0]}; known are {known}")
    for group in ("addr", *_AROUND.values()):
        if pattern.count(f"(?P<{group}>") > 1:
            raise SpellingError(f"the {group} stands twice; write two patterns instead")
    return pattern
