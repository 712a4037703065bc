"""Journals that `journalctl -o json` wrote to a file, as the lines that the daemon would read.

Records that the daemon would not believe (any local user may write to the journal) become empty
lines, so that the numbers of the others stay what they are.
"""

from __future__ import annotations


def text_of(block: bytes) -> bytes:
    """Whole lines, in which records of a journal stand as text; other lines stay as they are."""
    if not block.startswith(b"{") or b'"__CURSOR"' not in block.partition(b"\n")[0]:
        return block
    return b"\n".join(map(_line, block.split(b"\n")))


def _line(text: bytes) -> bytes:
    from mailbanned.sources.records import is_believed, line, parse  # rarely needed, and slow

    record = parse(text)
    if record is None:
        return text
    program = record.fields.get("SYSLOG_IDENTIFIER")
    if not isinstance(program, str):
        return b""
    entry = "sshd" if program.startswith("sshd") else f"SYSLOG_IDENTIFIER={program}"
    found = line(record) if is_believed(record, entry) else None
    return found.removesuffix(b"\n") if found else b""
