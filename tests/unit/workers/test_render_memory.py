"""Renders are kept by what they depend on, within a bound."""

from __future__ import annotations

from workers.rendering.manifest import Manifest
from workers.rendering.memory import RenderMemory
from workers.rendering.render import Rendered, RenderRequest


def rendered(count: int) -> Rendered:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    return Rendered(tuple(Manifest(body, "a:1") for _ in range(count)), "d", ())


def test_another_commit_source_or_variable_is_another_render() -> None:
    keys = {
        RenderMemory.key(url, commit, RenderRequest("app", variables))
        for url in ("a", "b")
        for commit in ("1", "2")
        for variables in (None, {"R": "eu"}, {"R": "us"})
    }
    assert len(keys) == 12


def test_the_least_used_goes_first_and_the_bound_is_kept() -> None:
    memory = RenderMemory(most=10)
    for name in (b"a", b"b"):
        memory.put(name, rendered(4))
    assert memory.get(b"a")
    memory.put(b"c", rendered(4))
    assert memory.get(b"a")
    assert memory.get(b"b") is None
    memory.put(b"huge", rendered(10))
    assert memory.get(b"huge") is None
    assert memory.get(b"c")
