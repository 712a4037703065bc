"""Makes text from outside safe to print."""


def escape_control(text: str) -> str:
    """Text with its control characters escaped, so that no name or log line steers a terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
