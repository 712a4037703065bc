"""mailbanned: bans the attackers of a mail host through firewalld, at once."""

__version__ = "0.1.0"
