"""Every kind of document there is, and the ones that are only planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from shared.documents.cluster import Cluster
from shared.documents.git_repository import GitRepository
from shared.documents.sync import Sync

AnyDocument: TypeAlias = GitRepository | Cluster | Sync

KINDS: Mapping[str, type[AnyDocument]] = {"GitRepository": GitRepository, "Cluster": Cluster, "Sync": Sync}
REFUSED_KINDS = frozenset({"Tenant", "Window", "Notification"})
