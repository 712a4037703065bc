"""mailbanned: bans the attackers of a mail host through firewalld, within hundredths of a second."""

__version__ = "0.1.0"
