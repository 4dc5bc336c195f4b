"""Keeps secrets out of whatever is logged, whoever logs it.

Three nets, each for what the others do not see: values that somebody said are secret (`conceal`), what stands
beside a name that only secrets have, and user and password in a URL. It works on the finished line, so it
does not matter whether a secret was in a field, in a message of a library or in a traceback.
"""

import json
import os
import re
from collections import deque

_MASK = "***"
# A shorter one would mask half of the log, and is guessed sooner than read.
_SHORTEST = 6
# Tokens are renewed; nobody logs one that has long expired.
_MOST = 100
_VARIABLE = re.compile(r"(SECRET|PASSWORD|TOKEN|KEY)$")
_NAMES = (
    "password", "passwd", "appkey", "appsecret", "secretkey", "secret_access_key", "aws_session_token",
    "access_token", "refresh_token", "approval_key", "api_key", "authorization",
    "x-amz-signature", "x-amz-credential", "x-amz-security-token",
)  # fmt: skip
# A name, a quotation mark (in JSON within JSON an escaped one), a colon or an equals sign, and the value.
_NAMED = re.compile(
    rf"((?:{'|'.join(_NAMES)})\\*[\"']?\s*[:=]\s*\\*[\"']?(?:Bearer\s+|Basic\s+)?)"
    r"[^\s\"'\\,;&})\]]+",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^\s/@\"'\\]+(?=@)")

_known: deque[str] = deque(maxlen=_MOST)


def conceal(*secrets: str) -> None:
    """Never log these values; those that are too short to be secrets are ignored."""
    for secret in secrets:
        # As it is, within JSON, and within what Python shows of a list or a dictionary.
        for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            if len(form) >= _SHORTEST and form not in _known:
                _known.append(form)


def conceal_environment() -> None:
    """Never log the values of variables whose names end as those of secrets do."""
    conceal(*(value for name, value in os.environ.items() if _VARIABLE.search(name)))


def redact(line: str) -> str:
    """Return a line with a mask in place of every secret."""
    # The longest first: one may be the beginning of another.
    for secret in sorted(_known, key=len, reverse=True):
        line = line.replace(secret, _MASK)
    return _USER.sub(_MASK, _NAMED.sub(rf"\g<1>{_MASK}", line))
