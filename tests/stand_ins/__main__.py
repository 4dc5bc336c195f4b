"""Runs a stand-in by hand, with trades of its own, until it is interrupted.

    python -m tests.stand_ins kis --port 9443 --ticks-per-second 5
    python -m tests.stand_ins yahoo --port 9444 --scenario outage.json
    python -m tests.stand_ins nasdaq --port 9445

A scenario is a list of steps, each at its second: set faults (fields of `Faults`), or do something once:

    [{"at": 10, "set": {"ws_silent": true}},
     {"at": 40, "set": {"ws_silent": false}},
     {"at": 60, "do": "disconnect"}]
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.stand_ins.kis import KisServer
from tests.stand_ins.nasdaq import A_FEW, NasdaqServer
from tests.stand_ins.yahoo import YahooServer

Server = KisServer | YahooServer | NasdaqServer
_ACTIONS = ("disconnect", "expire_tokens")


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.stand_ins")
    parser.add_argument("kind", choices=["kis", "yahoo", "nasdaq"])
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    parser.add_argument(
        "--ticks-per-second", type=float, default=2.0, help="trades of each symbol that is followed"
    )
    parser.add_argument("--scenario", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    steps = json.loads(arguments.scenario.read_text()) if arguments.scenario else []
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server: Server
    if arguments.kind == "kis":
        server = KisServer(port=arguments.port, ticks_per_second=arguments.ticks_per_second)
    elif arguments.kind == "yahoo":
        server = YahooServer(port=arguments.port, ticks_per_second=arguments.ticks_per_second)
        server.makes_past_up = True
    else:
        server = NasdaqServer(port=arguments.port)
        server.listings = list(A_FEW)
    server.host = arguments.host
    with server:
        print(json.dumps(_fields(server)), flush=True)
        play(server, steps, ended)
        ended.wait()
    return 0


def _fields(server: Server) -> dict[str, Any]:
    """Return what a pipeline has to say to ask this server."""
    match server:
        case KisServer():
            return {
                "restUrl": server.rest_url,
                "websocketUrl": server.websocket_url,
                "appkeys": server.secrets,
            }
        case YahooServer():
            return {"chartUrl": server.chart_url, "websocketUrl": server.stream_url}
        case NasdaqServer():
            return {"directoryUrl": server.directory_url, "screenerUrl": server.screener_url}


def play(server: Server, steps: list[dict[str, Any]], ended: threading.Event) -> None:
    """Do the steps of a scenario at their times."""
    began = time.monotonic()
    for step in sorted(steps, key=lambda one: float(one["at"])):
        if ended.wait(max(0.0, began + float(step["at"]) - time.monotonic())):
            return
        for name, value in step.get("set", {}).items():
            if not hasattr(server.faults, name):
                raise SystemExit(
                    f"scenario: there is no fault {name!r}; see Faults of {type(server).__name__}"
                )
            setattr(server.faults, name, value)
        if (action := step.get("do")) is not None:
            if action not in _ACTIONS or not hasattr(server, action):
                raise SystemExit(f"scenario: {action!r} cannot be done; there are {', '.join(_ACTIONS)}")
            getattr(server, action)()
        print(json.dumps(step), file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
