"""A stand-in Kubernetes API server, many clusters in one process: for the demo, for tests and for runs at scale."""

from fleetbeat.simulator.knobs import Knobs, Request
from fleetbeat.simulator.simulator import Simulator

__all__ = ["Knobs", "Request", "Simulator"]
