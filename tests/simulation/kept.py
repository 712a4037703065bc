"""Seeds that have failed once, each with what was wrong; they are played in every run of the tests.

A change of moves.py gives seeds another meaning; then they are only seeds like all others, and the
faults that they stood for are to be looked for again, with the code as it was before the mend.
"""

from __future__ import annotations

#: By seed: what was lost or came twice, and why.
FILES = {
    47: "again: the log was replaced by a copy while it was being found again at a start",
    69: "again: a rotated file was compressed after its position had been forgotten",
    75: "lost: at a start the rotated log was not there, and was not looked for later",
    109: "lost: NUL bytes in front of a line were taken for a part of it",
    155: "lost: the same, with a server that went on writing into the rotated file",
    241: "lost: the file that a link had led to before was closed with half a line in it",
    280: "lost: a log was rotated with half a line, which the server ended later",
    58: "lost: a copy was put into the place of the log, went on, and was copied and truncated",
    2018938: "lost: a log was emptied while the file before it was decided about again",
    4004428: "again: a log of the same source got the inode of another one's file",
    759100789758: "lost: the same, and the copy was compressed before it was found",
    612258233227: "lost: a log was rotated empty, and written to when no folder changed any more",
    880000019598: "again: a damaged log was emptied in the moment in which it was found again",
    612258254145: "lost: a log was rotated before its first line ended, which it did later",
    612258257691: "lost: the packed copy of an emptied log got the log's inode and its mtime",
    702000003112: "lost: a copy went on, was copied and emptied; the log before it was still open",
    141970895555: "lost: a copy in the place of the log was rotated, and half of it was packed",
}

#: Of the journal. A change of readings.py gives these another meaning, as moves.py does to FILES.
JOURNAL = {
    23: "lost: the clock was set back, and the journal began a new series",
    29: "again: the same, with places of several sources",
    84: "the daemon ended: the last source went just before journalctl was started for it",
    93: "the daemon ended: the directory that wakes journalctl was gone, and the journal moved",
    175: "records that had come before the clock was set back were said not to come",
}
