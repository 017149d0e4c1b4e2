"""What a render can fail with: every problem of it at once, each with file and line."""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import PermanentError

MOST_SHOWN = 20


class RenderError(PermanentError):
    """The files at that commit give no objects. Nothing of the Sync is applied."""

    def __init__(self, problems: Sequence[str]) -> None:
        more = f"; and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
        super().__init__("; ".join(problems[:MOST_SHOWN]) + more)
        self.problems = tuple(problems)
