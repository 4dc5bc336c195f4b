"""Forms of text that several parts of the spec use: names, durations, host names, Secrets."""

import datetime
import re
from typing import Annotated

from pydantic import Field

from stockpipeline.api.base import ApiModel, Matches

HOST = r"([A-Za-z0-9_.\-]+|\[[0-9a-fA-F:]+\])"
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Symbol = Annotated[
    str,
    Field(min_length=1, max_length=16),
    Matches(
        r"[A-Z0-9][A-Z0-9.\-]{0,15}",
        "a symbol is 1 to 16 characters of A-Z, 0-9, '.' and '-', as the exchange writes it: BRK.B",
    ),
]
HttpUrl = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Matches(
        rf"https?://{HOST}(:[0-9]{{1,5}})?(/[^\s@]*)?",
        "a URL must be http:// or https://HOST:PORT/PATH, without a user or password",
    ),
]
Duration = Annotated[
    str,
    Field(min_length=2, max_length=10),
    Matches(
        r"[1-9][0-9]{0,7}(ms|s|m|h|d)", "a duration is a whole number and a unit: 500ms, 30s, 15m, 2h, 1d"
    ),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(
        r"[a-z0-9]([\-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([\-a-z0-9]*[a-z0-9])?)*",
        "a name of a Kubernetes object is made of a-z, 0-9, '-' and '.'",
    ),
]
SecretKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(r"[\-._a-zA-Z0-9]+", "a key of a Secret is made of letters, digits, '-', '_' and '.'"),
]


def duration(text: str) -> datetime.timedelta:
    """The length of a `Duration`, for example of `90m`; a day has 24 hours."""
    parts = re.fullmatch(r"([0-9]+)([a-z]+)", text)
    if parts is None or parts[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 30s, 15m, 2h or 1d")
    return datetime.timedelta(**{_UNITS[parts[2]]: int(parts[1])})


class SecretReference(ApiModel):
    """A Secret in the pipeline's namespace, all of whose keys are used."""

    name: ObjectName
    """Name of the Secret in the pipeline's namespace."""


class SecretKeyReference(SecretReference):
    """One key of a Secret in the pipeline's namespace."""

    key: SecretKey
    """Key of the Secret that holds the value."""
