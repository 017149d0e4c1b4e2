"""Which kinds one simulated cluster serves at the moment. Written by its controllers, read by routing and discovery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fleetbeat.simulator.kinds import BUILT_IN, Kind
from fleetbeat.simulator.knobs import Knobs


@dataclass(slots=True)
class Registry:
    """Kinds by (group, version, plural); `epoch` moves whenever discovery does, knobs apart."""

    knobs: Knobs
    epoch: int = 0
    dead: dict[tuple[str, str], str] = field(default_factory=dict)
    """(group, version) of APIServices whose Service does not exist, and the name of each."""
    _kinds: dict[tuple[str, str, str], Kind] = field(
        default_factory=lambda: {(kind.group, kind.version, kind.plural): kind for kind in BUILT_IN}
    )

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def of_key(self, key: tuple[str, str]) -> Kind | None:
        """Some version of the kind with this (group, plural)."""
        return next((kind for kind in self._kinds.values() if kind.key == key), None)

    def served(self) -> Iterator[Kind]:
        """Every kind that discovery shows."""
        return iter(self._kinds.values())

    def serves(self, kind: Kind, api_version: str) -> bool:
        """True when the kind is served in that version."""
        group, _, version = api_version.rpartition("/")
        return group == kind.group and (group, version, kind.plural) in self._kinds

    def stale(self) -> set[tuple[str, str]]:
        """(group, version) that are listed and do not answer."""
        return self.knobs.stale_groups | set(self.dead)

    def has_group(self, group: str, version: str) -> bool:
        """True when any kind of this group is served in this version."""
        return any((kind.group, kind.version) == (group, version) for kind in self._kinds.values())

    def replace(self, group: str, plural: str, kinds: list[Kind]) -> None:
        """Serve a custom kind in these versions, and in no other."""
        for key in [key for key in self._kinds if key[0] == group and key[2] == plural]:
            del self._kinds[key]
        for kind in kinds:
            self._kinds[group, kind.version, plural] = kind
        self.epoch += 1
