"""Control messages of KIS's websocket, as JSON: registrations, their answers, and the heartbeat."""

import json
from typing import NamedTuple

from stockpipeline.sources.kis.keys import Registration
from stockpipeline.sources.kis.meanings import Ack, ack_meaning

_HEARTBEAT = "PINGPONG"


class Answer(NamedTuple):
    """What KIS says about a registration; ``key`` is its `tr_key`, empty where it is not told."""

    ack: Ack
    key: str
    message: str


class Heartbeat(NamedTuple):
    """KIS wants the same text back."""

    text: str


class Unreadable(NamedTuple):
    """Text that is no control message."""

    message: str


def subscribe(approval_key: str, what: Registration, *, remove: bool = False) -> str:
    """Return the message that registers something, or removes it."""
    header = {
        "approval_key": approval_key,
        "custtype": "P",
        "tr_type": "2" if remove else "1",
        "content-type": "utf-8",
    }
    return json.dumps({"header": header, "body": {"input": {"tr_id": what.transaction, "tr_key": what.key}}})


def read_control(text: str) -> Answer | Heartbeat | Unreadable:
    """Return what a text that is no frame of trades says; never raises."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return Unreadable("neither a frame of trades nor JSON")
    header = message.get("header") if isinstance(message, dict) else None
    if not isinstance(header, dict):
        return Unreadable("JSON without a header")
    if header.get("tr_id") == _HEARTBEAT:
        return Heartbeat(text)
    body = message.get("body")
    if not isinstance(body, dict) or not isinstance(code := body.get("msg_cd"), str):
        return Unreadable("JSON without a code")
    return Answer(ack_meaning(code), str(header.get("tr_key") or ""), f"{code} {str(body.get('msg1'))[:200]}")
