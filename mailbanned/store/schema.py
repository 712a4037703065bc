"""The tables of the state file, and how long what is in them is kept.

Known limit: history keeps the newest 100,000 bans of the last year.
"""

from __future__ import annotations

#: Changes when a program of another version could not use the tables.
VERSION = 1
TABLES = """
CREATE TABLE IF NOT EXISTS bans (
    jail TEXT, subject TEXT, since REAL NOT NULL, until REAL, failures INTEGER NOT NULL,
    user TEXT, reason TEXT NOT NULL, PRIMARY KEY (jail, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, jail TEXT, subject TEXT, since REAL NOT NULL, until REAL,
    failures INTEGER NOT NULL, reason TEXT NOT NULL, ended REAL, how TEXT);
CREATE INDEX IF NOT EXISTS history_subject ON history (subject, jail);
CREATE TABLE IF NOT EXISTS windows (
    jail TEXT, subject TEXT, newest REAL NOT NULL, times TEXT NOT NULL,
    PRIMARY KEY (jail, subject)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    source TEXT, name TEXT, mark TEXT NOT NULL, PRIMARY KEY (source, name)) WITHOUT ROWID;
"""
#: Saves the windows of a jail (?1) from a document (?2, see Packed). In the order of the table: the
#: rows that share a page of the file are written together, which a flood makes half the work. Of
#: one subject the later one holds. All of it is done by SQLite, while Python counts on.
PUT_WINDOWS = """
INSERT OR REPLACE INTO windows
SELECT ?1, json_extract(value, '$[0]') AS subject, coalesce(json_extract(value, '$[1][#-1]'), 0),
    json_extract(value, '$[1]') FROM json_each(?2) ORDER BY subject, key
"""
#: Deletes those of them without times. Their documents hold NO_TIMES.
DELETE_WINDOWS = """
DELETE FROM windows WHERE jail = ?1 AND times = '[]' AND subject IN (
    SELECT json_extract(value, '$[0]') FROM json_each(?2)
    WHERE json_array_length(value, '$[1]') = 0)
"""
NO_TIMES = "[]]"
#: Saves the marks of a source (?1) from a document (?2), which are all that it has. Of hundreds
#: most stay the same from one second to the next; those are not written again.
PUT_MARKS = """
INSERT INTO marks SELECT ?1, key, value FROM json_each(?2) WHERE true
ON CONFLICT (source, name) DO UPDATE SET mark = excluded.mark WHERE marks.mark <> excluded.mark
"""
DELETE_MARKS = """
DELETE FROM marks WHERE source = ?1 AND name NOT IN (SELECT key FROM json_each(?2))
"""
_HISTORY_AGE = 366 * 86400.0
_HISTORY_ROWS = 100_000

Statement = tuple[str, tuple[float, ...]]


def forgetting(now: float, findtime: float) -> list[Statement]:
    """What deletes counts and history that are too old, or too many."""
    return [
        ("DELETE FROM windows WHERE newest <= ?", (now - findtime,)),
        (
            "DELETE FROM history WHERE since < ? OR id <= (SELECT max(id) FROM history) - ?",
            (now - _HISTORY_AGE, _HISTORY_ROWS),
        ),
    ]
