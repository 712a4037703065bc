"""Log bytes -> Blocks of whole lines: from files and from the systemd journal.

    base.py    what every source is (Source) and reports about itself (SourceState)
    health.py  what is wrong with the logs of a file source
    file/      FileSource: log files, through rotation
    journal/   JournalSource: units and other matches of the journal

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
