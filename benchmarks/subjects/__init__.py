"""The engines that are compared, each behind the same few verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.subjects.fleetbeat import Fleetbeat
from benchmarks.subjects.floor import Floor
from benchmarks.subjects.flux import Flux
from benchmarks.subjects.kubectl import Kubectl
from benchmarks.subjects.subject import Room, Subject

SUBJECTS: Mapping[str, Callable[[Room], Subject]] = {
    "fleetbeat": Fleetbeat,
    "flux": Flux,
    "kubectl": Kubectl,
    "floor": Floor,
}
"""By the name that the command line takes."""
