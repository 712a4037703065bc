"""Reads units and other matches from the systemd journal.

source.py        JournalSource: one source of the configuration
reader.py        the one journalctl that reads for all of them
subscription.py  which entries belong to which source, and up to where it has read them
entry.py         cursors, which entries are trusted, and how they read as lines
wakeup.py        wakes journalctl as soon as there is a new entry
missed.py        detects entries that exist and do not arrive
"""
