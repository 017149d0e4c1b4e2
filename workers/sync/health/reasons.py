"""How a cause is worded: one line, short, and without what a terminal would obey."""

from __future__ import annotations

import re

from workers.sync.health.paths import Place, value

LONGEST = 300
"""Characters of a reason."""
_FIELD = re.compile(r"\{([^{}]+)\}")


def one_line(text: str) -> str:
    """The text in one line of at most `LONGEST` characters. Messages come from the cluster: control characters are taken out."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


def say(message: str, place: Place) -> str:
    """The message with its `{path}`s filled in; a separator that an absent field leaves at an end goes.

    A condition that says nothing is named by its type.
    """
    text = one_line(_FIELD.sub(lambda found: _text(found[1], place), message)).strip(": ")
    return text or _text("type", place)


def _text(path: str, place: Place) -> str:
    found = value(path, place)
    return "" if found is None else str(found)
