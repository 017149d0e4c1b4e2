"""What was rendered lately, kept by this process: a pass over a cluster whose commit did not move reads neither Git nor disk."""

from __future__ import annotations

import threading
from collections import OrderedDict

import orjson

from workers.rendering.render import Rendered, RenderRequest

MOST_OBJECTS = 20_000
"""Objects kept in all, about 4 kB each; a fleet with more distinct renders reads the rest from disk."""


class RenderMemory:
    """Least recently used goes first. Thread-safe; what is kept is shared, and nobody changes it."""

    def __init__(self, most: int = MOST_OBJECTS) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Rendered] = OrderedDict()
        self._objects = 0
        self._lock = threading.Lock()

    @staticmethod
    def key(url: str, commit: str, request: RenderRequest) -> bytes:
        """Names one render: a commit never changes, so its render never does."""
        return orjson.dumps([url, commit, request], option=orjson.OPT_SORT_KEYS)

    def get(self, key: bytes) -> Rendered | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, rendered: Rendered) -> None:
        """Keep it, unless it is larger than all that may be kept."""
        size = len(rendered.objects) + 1
        with self._lock:
            if key in self._kept or size > self._most:
                return
            self._kept[key] = rendered
            self._objects += size
            while self._objects > self._most:
                _, gone = self._kept.popitem(last=False)
                self._objects -= len(gone.objects) + 1
