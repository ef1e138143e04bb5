"""What somebody else wrote, as it may be shown: no text of theirs steers a terminal."""


def printable(text: str) -> str:
    """Return the text with "?" for each letter that can't be printed, newlines too."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
