"""Follows log files through rotation.

source.py      FileSource: rescans, reads, emits
fileset.py     the open files of a source; carries out what rotation.py plans
tracked.py     one open file and its state
discovery.py   the files at a path or glob, and the files they were rotated to
candidates.py  opens and examines all files of a path
rotation.py    plans which of them are read, and from where
checkpoint.py  a position, and how to identify the file
reader.py      one open file and the position in it
rawfile.py     its bytes, plain or compressed
start.py       where to start in a log that was never read before
watcher.py     wakes sources when a directory changes (one for the whole daemon)
inotify.py     reports writes at once
"""
