"""What is wrong with a fleet's documents, said to the person who writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from shared.errors import PermanentError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to correct; `str(problem)` is `file:line: field: message` in one line.

    Args:
        file: The file, relative to the fleet's folder; empty when the problem has no file.
        line: Counted from 1; 0 when the problem is about the whole file.
        field: Dotted, as written in YAML (`spec.sourceRef.name`); empty when it is about the whole document.
        message: What is wrong and what to do.
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return one_line(": ".join(part for part in (where, self.field, self.message) if part))


class InvalidFleetError(PermanentError):
    """The fleet's documents cannot be used; `problems` holds every reason at once, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        listed = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"the fleet has {count} problem{'s' if count != 1 else ''}: {listed}")


def one_line(text: str) -> str:
    """The text with line ends as spaces and without characters that a terminal would obey."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def shown(value: object, limit: int = 60) -> str:
    """A value quoted for a message, cut to `limit` characters."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean x?`, or the known names when none is near."""
    names = sorted(known)
    lowered = {item.lower(): item for item in names}
    near = get_close_matches(name[:60].lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]}?"
    return f"known here: {', '.join(names)}" if names else "nothing is known here"
