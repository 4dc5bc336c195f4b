"""How Helm keeps a release in a Secret: base64 of gzip of JSON, once more in base64 by Kubernetes.

Format: `encodeRelease` in helm.sh/helm/v4/pkg/storage/driver/util.go.
"""

import base64
import gzip
import json
from typing import Any

Object = dict[str, Any]
# The Secrets of every release.
SELECTOR = "owner=helm"


def selector(release: str) -> str:
    """Selects the Secrets of a release; their labels say revision and status."""
    return f"{SELECTOR},name={release}"


def secret_name(release: str, revision: int) -> str:
    """The name of the Secret that holds one revision."""
    return f"sh.helm.release.v1.{release}.v{revision}"


def with_status(secret: Object, status: str, description: str) -> Object:
    """The Secret of a revision, changed to say `status`; everything else stays."""
    release = decode(secret["data"]["release"])
    release["info"] = {**release["info"], "status": status, "description": description}
    labels = {**secret["metadata"].get("labels", {}), "status": status}
    return {
        **secret,
        "metadata": {**secret["metadata"], "labels": labels},
        "data": {**secret["data"], "release": encode(release)},
    }


def decode(data: str) -> Object:
    """The release in a Secret's data."""
    release: Object = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    return release


def encode(release: Object) -> str:
    """A release as a Secret's data."""
    packed = gzip.compress(json.dumps(release).encode(), mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()
