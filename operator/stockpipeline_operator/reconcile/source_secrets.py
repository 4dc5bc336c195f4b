"""Which Secrets, and which keys of them, the sources of a pipeline need. Values are never read here."""

from typing import Any

from stockpipeline.api import StockPipelineSpec


def source_secrets(spec: StockPipelineSpec) -> list[dict[str, Any]]:
    """The chart's value `secrets`: each Secret once, in the order of its first use."""
    keys: dict[str, dict[str, None]] = {}
    for source in spec.sources:
        for credentials in source.kis.credentials if source.kis is not None else ():
            secret = credentials.secret_ref
            keys.setdefault(secret.name, {}).update({secret.app_key: None, secret.app_secret: None})
    return [{"name": name, "keys": list(wanted)} for name, wanted in keys.items()]
