"""The kinds of objects that the operator deals with, and their addresses in the API."""

from dataclasses import dataclass

from stockpipeline.api import API_VERSION, KIND, PIPELINE_LABEL, PLURAL


@dataclass(frozen=True)
class ResourceType:
    """A namespaced kind of object."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of an object, or of the collection; without a namespace: of all namespaces."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/".join(parts)


STOCK_PIPELINE = ResourceType(API_VERSION, KIND, PLURAL)
DEPLOYMENT = ResourceType("apps/v1", "Deployment", "deployments")
CONFIG_MAP = ResourceType("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = ResourceType("v1", "ServiceAccount", "serviceaccounts")
NETWORK_POLICY = ResourceType("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SERVICE = ResourceType("v1", "Service", "services")
VOLUME_CLAIM = ResourceType("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SCALED_OBJECT = ResourceType("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
ROLE = ResourceType("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = ResourceType("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
POD = ResourceType("v1", "Pod", "pods")
SECRET = ResourceType("v1", "Secret", "secrets")
EVENT = ResourceType("events.k8s.io/v1", "Event", "events")
LEASE = ResourceType("coordination.k8s.io/v1", "Lease", "leases")

# What the pipeline's chart contains: the operator watches and restores these, and may do no more.
OWNED = (DEPLOYMENT, CONFIG_MAP, SERVICE_ACCOUNT, NETWORK_POLICY, SERVICE)
# What it may contain besides: restored at the next look, but not watched. Not every cluster knows the last.
OPTIONAL = (VOLUME_CLAIM, ROLE, ROLE_BINDING, SCALED_OBJECT)
# Kinds of which the status tells whether they run.
WORKLOADS = frozenset({DEPLOYMENT.kind})
# Objects that the pipeline's chart makes, and no others.
OWNED_SELECTOR = f"{PIPELINE_LABEL},app.kubernetes.io/part-of=stockpipeline"


_BY_KIND = {resource.kind: resource for resource in (*OWNED, *OPTIONAL)}


def owned_type(kind: str) -> ResourceType:
    """The API's address of a kind that the pipeline's chart may contain."""
    return _BY_KIND[kind]


def pipeline_selector(name: str) -> str:
    """Selects the objects of one pipeline in its namespace."""
    return f"{PIPELINE_LABEL}={name},app.kubernetes.io/part-of=stockpipeline"
