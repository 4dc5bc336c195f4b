"""The source of alerts and recording rules; the charts' rule files are written from it."""

from observability.alerts import backends, batch, causes, operator, slo, store
from observability.alerts.rule import Group

PRODUCT: tuple[Group, ...] = (
    slo.RECORDINGS,
    slo.ALERTS,
    causes.ALERTS,
    store.ALERTS,
    batch.ALERTS,
    operator.ALERTS,
)
"""Shipped with the operator, for whatever Prometheus the cluster has."""
LOCAL: tuple[Group, ...] = (*PRODUCT, backends.ALERTS)
"""With those of the backends that the local chart runs."""
