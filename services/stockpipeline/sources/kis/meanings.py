"""What KIS's codes mean for what to do next. A code that is not known is a failure like any other.

REST: `rt_cd` "0" is success, whatever the HTTP status says; `EGW…` codes come with 200, 401, 403 or 500.
Websocket: `OPSP…` codes. Codes from KIS's samples and well-used clients.
"""

import json
from enum import Enum, auto
from typing import Any

TOO_MANY_REQUESTS = "EGW00201"
TOKEN_EXPIRED = "EGW00123"  # noqa: S105 - a code
TOKEN_INVALID = "EGW00121"  # noqa: S105
TOKEN_TOO_SOON = "EGW00133"  # noqa: S105


class Meaning(Enum):
    """What to do about an answer of the REST interface."""

    RATE_EXCEEDED = auto()
    """Slow down and ask again."""
    TOKEN_EXPIRED = auto()
    """Get another token and ask again."""
    TOKEN_TOO_SOON = auto()
    """A token was asked for within the last minute: wait for it."""
    REFUSED = auto()
    """KIS understood and said no: asking again at once will not help."""
    BROKEN = auto()
    """The answer is no answer of KIS's, or the server failed."""


class KisError(Exception):
    """An answer that is not what was asked for; the message has KIS's code and text, and no secrets."""

    def __init__(self, meaning: Meaning, message: str, body: bytes = b"") -> None:
        super().__init__(message)
        self.meaning = meaning
        self.body = body


def read_answer(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    Raises:
        KisError: the answer says no, or is not readable.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        meaning = Meaning.RATE_EXCEEDED if status == 429 else Meaning.BROKEN
        raise KisError(meaning, f"HTTP {status} without a readable answer", body)
    code = str(answer.get("msg_cd") or answer.get("error_code") or "").strip()
    text = str(answer.get("msg1") or answer.get("error_description") or "").strip()[:200]
    said = f"HTTP {status} {code} {text}".rstrip()
    if code == TOO_MANY_REQUESTS or status == 429:
        raise KisError(Meaning.RATE_EXCEEDED, said, body)
    if code in (TOKEN_EXPIRED, TOKEN_INVALID):
        raise KisError(Meaning.TOKEN_EXPIRED, said, body)
    if code == TOKEN_TOO_SOON:
        raise KisError(Meaning.TOKEN_TOO_SOON, said, body)
    if status >= 500:
        raise KisError(Meaning.BROKEN, said, body)
    if status >= 400 or answer.get("rt_cd", "0") != "0":
        raise KisError(Meaning.REFUSED, said, body)
    return answer


class Ack(Enum):
    """What the websocket says about a registration."""

    REGISTERED = auto()
    REMOVED = auto()
    FULL = auto()
    """The session has as many registrations as it may have."""
    TAKEN = auto()
    """Another session uses the appkey."""
    BAD_APPROVAL = auto()
    """The approval key is not valid (any more)."""
    FAILED = auto()


_ACKS = {
    "OPSP0000": Ack.REGISTERED,
    "OPSP0001": Ack.REMOVED,
    "OPSP0002": Ack.REGISTERED,  # it was already
    "OPSP0003": Ack.REMOVED,  # it was not registered
    "OPSP0008": Ack.FULL,
    "OPSP0011": Ack.BAD_APPROVAL,
    "OPSP8996": Ack.TAKEN,
}


def ack_meaning(code: str) -> Ack:
    """Return what an `OPSP…` code means; OPSP0007 (internal error) and unknown ones are failures."""
    return _ACKS.get(code, Ack.FAILED)
