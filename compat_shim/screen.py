"""What fits a terminal or a notebook's cell: lines of at most so many columns, texts of at most so many lines."""

from __future__ import annotations

import os
import textwrap

WIDTH = 100
LINES = 40
_NAME = 12  # columns that the name of a row has


def wrapped(text: str, indent: int = 0, hang: int = 0) -> list[str]:
    """The lines of a text; a word that is longer than a line is broken.

    Args:
        text: what they say; blanks and new lines in a row count as one blank.
        indent: how far all lines are indented.
        hang: how much further those after the first are.
    """
    first, later = " " * indent, " " * (indent + hang)
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    )


def row(name: str, text: str, indent: int = 2) -> list[str]:
    """A name and what is said of it, in lines: ``  name         text``."""
    lines = wrapped(text, indent + _NAME + 1)
    return [f"{'':{indent}}{name:<{_NAME}} {lines[0].lstrip()}", *lines[1:]] if lines else []


def room(indent: int = 2) -> int:
    """How many columns the text of a row has."""
    return WIDTH - indent - _NAME - 1


def shortened(text: str, columns: int) -> str:
    """A text without its middle where it is longer than that."""
    if len(text) <= columns:
        return text
    kept = columns - len("...")
    return f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"


def cut(text: str, columns: int) -> str:
    """A text without its end where it is longer than that."""
    return text if len(text) <= columns else f"{text[: columns - len('...')]}..."


def file(path: str, columns: int) -> str:
    """A file's path, seen from the working folder if it lies there, and shortened."""
    try:
        folder = os.path.join(os.getcwd(), "")
    except OSError:  # it has been removed
        return shortened(path, columns)
    return shortened(path.removeprefix(folder), columns)


def some(names: list[str], columns: int) -> str:
    """As many of the names as fit, and how many there are besides."""
    text = shortened(names[0], columns) if len(names) == 1 else f"{len(names)} names"
    for count in range(1, len(names) + 1):
        left = len(names) - count
        more = ", ".join(names[:count]) + (f" and {left} more" if left else "")
        if len(more) > columns:
            break
        text = more
    return text
