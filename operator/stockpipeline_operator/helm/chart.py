"""The chart that one StockPipeline becomes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import helm_python
import yaml

from stockpipeline_operator.helm.revision import chart_record, manifest_of

Values = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PipelineChart:
    """A chart directory, loaded once. May be used by many threads.

    `identity` is what tells it from other charts: without one, the digest of its files.
    """

    def __init__(self, directory: Path, identity: str | None = None) -> None:
        self.handle = helm_python.Chart.load(directory)
        self.record = chart_record(directory)
        self.defaults: Values = self.handle.values or {}
        self.identity = identity or _directory_digest(directory)

    def digest(self, values: Values) -> str:
        """What identifies a rendering: 40 hex digits over the chart's files and the values.

        Short enough for a label. Sound because the chart has no hooks, no `lookup` and nothing random.
        """
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{self.identity}\n{canonical}".encode()).hexdigest()[:40]

    def render(self, values: Values, name: str, namespace: str) -> tuple[dict[str, Any], ...]:
        """The objects that an install or upgrade with these values makes."""
        return parse_manifest(self.manifest(values, name, namespace))

    def manifest(self, values: Values, name: str, namespace: str) -> str:
        """The same as one text of YAML documents."""
        return manifest_of(self.handle.render(values, name=name, namespace=namespace))


def parse_manifest(text: str) -> tuple[dict[str, Any], ...]:
    """The objects of a manifest with several YAML documents."""
    return tuple(document for document in yaml.load_all(text, Loader=_LOADER) if document)


def _directory_digest(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix().encode()
        content = path.read_bytes()
        digest.update(b"%d %s %d " % (len(name), name, len(content)))
        digest.update(content)
    return digest.hexdigest()
