"""Settings from the environment, for what differs between instances of one pipeline's services.

| variable                    | default       | meaning                                                   |
|-----------------------------|---------------|-----------------------------------------------------------|
| STOCKPIPELINE_LOG_LEVEL     | info          | debug, info, warning or error                             |
| STOCKPIPELINE_HTTP_ADDRESS  | 0.0.0.0:8080  | where metrics and health are served                       |
| STOCKPIPELINE_INSTANCE      | the host name | name of this instance; a replaced pod has another one     |
| STOCKPIPELINE_GRACE_SECONDS | 20            | time to finish after SIGTERM; Kubernetes kills after 30 s |
| STOCKPIPELINE_SECRETS       | /etc/stockpipeline-secrets | folder with a folder per Secret, a file per key |
| STOCKPIPELINE_DATA          | /var/lib/stockpipeline | folder of the store's master and of a replica      |
| STOCKPIPELINE_SQL_ADDRESS   |               | HOST:PORT of the SQL endpoint beside a replica, if any    |
"""

import os
import socket
from math import inf
from pathlib import Path

_PREFIX = "STOCKPIPELINE_"
_LEVELS = ("debug", "info", "warning", "error")


class BadSetting(ValueError):
    """An environment variable has a value that cannot be used; the message names both."""


def log_level() -> str:
    """Return the least important level to log.

    Raises:
        BadSetting: it is not a level.
    """
    name = f"{_PREFIX}LOG_LEVEL"
    level = os.environ.get(name, "info").lower()
    if level not in _LEVELS:
        raise BadSetting(f"{name}: {level!r} is not a level; use one of {', '.join(_LEVELS)}")
    return level


def http_address() -> tuple[str, int]:
    """Return host and port to listen on; port 0 lets the system choose.

    Raises:
        BadSetting: it is not HOST:PORT.
    """
    name = f"{_PREFIX}HTTP_ADDRESS"
    address = os.environ.get(name, "0.0.0.0:8080")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise BadSetting(f"{name}: {address!r} is not HOST:PORT")
    return host, int(port)


def instance_name() -> str:
    """Return the name of this instance; in Kubernetes the host's name is the pod's."""
    return os.environ.get(f"{_PREFIX}INSTANCE") or socket.gethostname()


def secrets_folder() -> Path:
    """Return the folder in which Secrets are mounted, each in a folder of its name."""
    return Path(os.environ.get(f"{_PREFIX}SECRETS") or "/etc/stockpipeline-secrets")


def data_folder() -> Path:
    """Return the folder in which the store and its replicas keep what they have."""
    return Path(os.environ.get(f"{_PREFIX}DATA") or "/var/lib/stockpipeline").absolute()


def sql_address() -> str | None:
    """Return HOST:PORT of the SQL endpoint that reads this instance's replica; None where there is none."""
    return os.environ.get(f"{_PREFIX}SQL_ADDRESS") or None


def grace_seconds() -> float:
    """Return how long the end may take once it is asked for.

    Raises:
        BadSetting: it is not a number of seconds.
    """
    name = f"{_PREFIX}GRACE_SECONDS"
    text = os.environ.get(name, "20")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < inf:
        raise BadSetting(f"{name}: {text!r} is not a number of seconds")
    return seconds
