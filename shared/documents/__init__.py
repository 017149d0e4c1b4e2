"""The fleet's YAML documents: their models, their loader, the snapshot made of them, and its JSON Schema.

It knows nobody else in the project but the clock and the errors.
"""

from shared.documents.cluster import Cluster
from shared.documents.fleet import Fleet
from shared.documents.git_repository import GitRepository
from shared.documents.loader import load
from shared.documents.problems import InvalidFleetError, Problem
from shared.documents.sync import Sync

__all__ = ["Cluster", "Fleet", "GitRepository", "InvalidFleetError", "Problem", "Sync", "load"]
