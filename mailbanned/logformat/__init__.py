"""Parses the format of logs: bytes -> messages, headers of lines, timestamps. No I/O."""
