"""How changes come into force, and what stays when the pipeline goes."""

from enum import StrEnum

from stockpipeline.api.base import ApiModel


class Mode(StrEnum):
    """What the operator does with a change."""

    APPLY = "Apply"
    PLAN = "Plan"


class UpgradePolicy(StrEnum):
    """Whether a newer operator's chart and image are taken by themselves."""

    MANUAL = "Manual"
    AUTO = "Auto"


class Window(StrEnum):
    """When pods may be restarted."""

    ANYTIME = "Anytime"
    OUTSIDE_SESSION = "OutsideSession"


class DeletionPolicy(StrEnum):
    """What happens to data when the pipeline is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Rollout(ApiModel):
    """When changes that restart pods are made."""

    window: Window = Window.ANYTIME
    """Anytime: at once. OutsideSession: while the exchange is closed. A pipeline that does not run is
    repaired at any time."""
