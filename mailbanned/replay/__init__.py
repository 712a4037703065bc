"""Runs old logs through the filters and jails, for `mailbanned test`."""
