"""Wiring: the task tree, queues, signals, systemd notification."""

from mailbanned.daemon.daemon import Daemon, StartError

__all__ = ["Daemon", "StartError"]
