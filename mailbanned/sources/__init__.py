"""Log bytes -> Blocks of whole lines: from files and from the systemd journal.

    base.py      what every source is (Source) and tells about itself (SourceState)
    watcher.py   wakes readers when a directory changes (one for the whole daemon)
    file.py      FileSource: looks, reads, hands on
    followed.py    which files it has open; rotation and restarts
    survey.py      what a path or glob leads to at the moment
    tail.py        one open file and the position in it
    lines.py       whole lines out of bytes
    marks.py       a position, and how to know the file again
    start.py       where to begin in a log that was never read before
    troubles.py    what stands in the way, said once
    journal.py   JournalSource: one journalctl that is kept running
    records.py     which journal records are to be believed, and how they read as lines

A new kind of source is one file with a Source and one line where the daemon builds sources.
"""

from mailbanned.sources.base import Emit, Source, SourceState
from mailbanned.sources.file import FileSource
from mailbanned.sources.journal import JournalSource
from mailbanned.sources.watcher import Watcher

__all__ = ["Emit", "FileSource", "JournalSource", "Source", "SourceState", "Watcher"]
