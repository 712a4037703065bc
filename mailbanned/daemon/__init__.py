"""Wiring: the task tree, queues, signals, systemd notification."""

from mailbanned.daemon.service import Daemon, StartError

__all__ = ["Daemon", "StartError"]
