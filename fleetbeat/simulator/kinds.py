"""The kinds that a simulated cluster serves, and what sets them apart. Read by storage, discovery, routing and field ownership."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Generation = Literal["none", "fixed", "spec", "content"]
"""`fixed` stays 1, `spec` moves with .spec, `content` with everything but metadata (and status where that is a subresource)."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version. `fields` are its top-level fields where they are known, which makes strict checks honest."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    generation: Generation = "none"
    status: bool = False
    custom: bool = False
    unconditional: bool = True
    fields: frozenset[str] | None = frozenset({"spec", "status"})
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    singular: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> tuple[str, str]:
        """What storage sorts by: all versions of a kind share their objects."""
        return self.group, self.plural


def _fields(*names: str) -> frozenset[str]:
    return frozenset(names)


_CORE = (
    Kind("", "v1", "ConfigMap", "configmaps", fields=_fields("data", "binaryData", "immutable"), short_names=("cm",)),
    Kind("", "v1", "Event", "events", fields=None, short_names=("ev",)),
    Kind("", "v1", "LimitRange", "limitranges", fields=_fields("spec"), short_names=("limits",)),
    Kind("", "v1", "Namespace", "namespaces", namespaced=False, status=True, short_names=("ns",)),
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", status=True, short_names=("pvc",)),
    Kind("", "v1", "Pod", "pods", status=True, generation="spec", short_names=("po",), categories=("all",)),
    Kind("", "v1", "ResourceQuota", "resourcequotas", status=True, short_names=("quota",)),
    Kind("", "v1", "Secret", "secrets", fields=_fields("data", "stringData", "immutable", "type")),
    Kind("", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",),
         fields=_fields("secrets", "imagePullSecrets", "automountServiceAccountToken")),
    Kind("", "v1", "Service", "services", status=True, short_names=("svc",), categories=("all",)),
)  # fmt: skip

_APPS = tuple(
    Kind("apps", "v1", kind, plural, status=True, generation="spec", short_names=(short,), categories=("all",))
    for kind, plural, short in (
        ("DaemonSet", "daemonsets", "ds"),
        ("Deployment", "deployments", "deploy"),
        ("ReplicaSet", "replicasets", "rs"),
        ("StatefulSet", "statefulsets", "sts"),
    )
)

_BINDING = _fields("roleRef", "subjects")
_STORAGE_CLASS = _fields(
    "provisioner", "parameters", "reclaimPolicy", "mountOptions", "allowVolumeExpansion", "volumeBindingMode",
    "allowedTopologies",
)  # fmt: skip
_PRIORITY = _fields("value", "globalDefault", "description", "preemptionPolicy")
_RBAC, _NET = "rbac.authorization.k8s.io", "networking.k8s.io"

_OTHERS = (
    Kind("apiregistration.k8s.io", "v1", "APIService", "apiservices", namespaced=False, status=True,
         unconditional=False, categories=("api-extensions",)),
    Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", status=True,
         generation="spec", short_names=("hpa",), categories=("all",)),
    Kind("batch", "v1", "CronJob", "cronjobs", status=True, generation="spec", short_names=("cj",), categories=("all",)),
    Kind("batch", "v1", "Job", "jobs", status=True, generation="spec", categories=("all",)),
    Kind(_NET, "v1", "IngressClass", "ingressclasses", namespaced=False, generation="spec", fields=_fields("spec")),
    Kind(_NET, "v1", "Ingress", "ingresses", status=True, generation="spec", short_names=("ing",)),
    Kind(_NET, "v1", "NetworkPolicy", "networkpolicies", generation="spec", short_names=("netpol",), fields=_fields("spec")),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", status=True, generation="spec",
         unconditional=False, short_names=("pdb",)),
    Kind(_RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False, fields=_BINDING),
    Kind(_RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False, fields=_fields("rules", "aggregationRule")),
    Kind(_RBAC, "v1", "RoleBinding", "rolebindings", fields=_BINDING),
    Kind(_RBAC, "v1", "Role", "roles", fields=_fields("rules")),
    Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",), fields=_STORAGE_CLASS),
    Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
         status=True, generation="spec", unconditional=False, short_names=("crd", "crds"), categories=("api-extensions",)),
    Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, generation="fixed",
         short_names=("pc",), fields=_PRIORITY),
    Kind("coordination.k8s.io", "v1", "Lease", "leases", unconditional=False, fields=_fields("spec")),
)  # fmt: skip

BUILT_IN: tuple[Kind, ...] = _CORE + _APPS + _OTHERS

GROUPS = frozenset(kind.group for kind in BUILT_IN)
"""The groups whose unknown resources are answered with a Status; elsewhere nothing answers but the last resort, in plain text."""

KIND = {(kind.group, kind.kind): kind for kind in BUILT_IN}
NAMESPACE = KIND["", "Namespace"]
CRD = KIND["apiextensions.k8s.io", "CustomResourceDefinition"]
API_SERVICE = KIND["apiregistration.k8s.io", "APIService"]
