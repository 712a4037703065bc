"""Log bytes -> Blocks of whole lines: from files and from the systemd journal.

    base.py      what every source is (Source) and tells about itself (SourceState)
    watcher.py   wakes readers when a directory changes (one for the whole daemon)
    haste.py       tells it of a write at once
    file.py      FileSource: looks, reads, hands on
    fileset.py     which files it has open; carries out what rotation.py plans
    tracked.py     one of them, and what is known about it
    survey.py      what a path or glob leads to at the moment
    rotated.py     what a log was renamed to, oldest first
    candidates.py  looks into all files of a path
    rotation.py    plans which of them are read, and from where
    checkpoint.py  a position, and how to know the file again
    tail.py        one open file and the position in it
    raw.py         its bytes, plain or packed
    lines.py       whole lines out of bytes
    start.py       where to begin in a log that was never read before
    hearing.py     tells a log that lost its voice from a quiet one
    troubles.py    what stands in the way, said once
    journal.py   JournalSource: units and other matches of the journal
    journalctl.py  the one journalctl that is kept running for all of them
    nudge.py       makes it look as soon as there is something new
    shares.py      which of its records are a source's own, and up to where it has them
    silence.py     tells a quiet unit from one whose lines no longer come
    records.py     which journal records are to be believed, and how they read as lines
    places.py      a place in the journal, as a mark holds it

A new kind of source is one file with a Source and one line where the daemon builds sources.
"""

from mailbanned.sources.base import Emit, PathState, Source, SourceState
from mailbanned.sources.file.source import FileSource
from mailbanned.sources.file.watcher import Watcher
from mailbanned.sources.journal.reader import Journalctl
from mailbanned.sources.journal.source import JournalSource

__all__ = [
    "Emit",
    "FileSource",
    "JournalSource",
    "Journalctl",
    "PathState",
    "Source",
    "SourceState",
    "Watcher",
]
