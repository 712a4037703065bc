"""Follows entries of the systemd journal."""
