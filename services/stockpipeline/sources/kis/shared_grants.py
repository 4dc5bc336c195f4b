"""KIS's grants in Redis, for all producers that use an appkey, of any pipeline on that Redis.

Keys `stockpipeline:kis:FINGERPRINT:KIND` (encrypted with a key made of the appsecret: whoever reads Redis has
no token) and `…:turn` (taken once a minute). They expire with what they hold. While Redis is away, a process
goes by what it knows itself.
"""

import base64
import time
from hashlib import blake2b

import msgspec
import structlog
from cryptography.fernet import Fernet, InvalidToken

from stockpipeline.runtime.redis_client import AsyncRedis, RedisError
from stockpipeline.sources.kis.credentials import AppKey
from stockpipeline.sources.kis.grants import TURN_SECONDS, Grant, GrantKind, LocalGrants

_TIMEOUT_SECONDS = 3.0
_log = structlog.get_logger()


class _Stored(msgspec.Struct):
    value: str
    made_at: float
    expires_at: float


class RedisGrants:
    """A `GrantStore` of one appkey."""

    def __init__(self, url: str, app_key: AppKey) -> None:
        self._redis = AsyncRedis.from_url(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )
        self._prefix = f"stockpipeline:kis:{app_key.fingerprint}"
        key = blake2b(app_key.secret.encode(), digest_size=32, person=b"kis-grants").digest()
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        self._local = LocalGrants()

    async def load(self, kind: GrantKind) -> Grant | None:
        """Return the newest grant that anybody saved."""
        try:
            data = await self._redis.get(f"{self._prefix}:{kind}")
            if data is None:
                return await self._local.load(kind)
            stored = msgspec.json.decode(self._cipher.decrypt(data), type=_Stored)
        except RedisError as error:
            _log.warning("a grant of KIS cannot be shared", why=type(error).__name__)
            return await self._local.load(kind)
        except (InvalidToken, msgspec.DecodeError):
            # Of an earlier appsecret: the next one that is saved replaces it.
            return None
        return Grant(stored.value, stored.made_at, stored.expires_at)

    async def save(self, kind: GrantKind, grant: Grant) -> None:
        """Keep a grant until it expires."""
        await self._local.save(kind, grant)
        seconds = int(grant.expires_at - time.time())
        if seconds <= 0:
            return
        data = msgspec.json.encode(_Stored(grant.value, grant.made_at, grant.expires_at))
        try:
            await self._redis.set(f"{self._prefix}:{kind}", self._cipher.encrypt(data), ex=seconds)
        except RedisError as error:
            _log.warning("a grant of KIS cannot be shared", why=type(error).__name__)

    async def take_turn(self, kind: GrantKind) -> bool:
        """Return True for one caller in TURN_SECONDS, over all that share this Redis."""
        if not await self._local.take_turn(kind):
            return False
        try:
            return bool(await self._redis.set(self._turn(kind), b"1", nx=True, ex=int(TURN_SECONDS)))
        except RedisError:
            return True

    async def give_back_turn(self, kind: GrantKind) -> None:
        """Let the next caller have the turn that was not used."""
        await self._local.give_back_turn(kind)
        try:
            await self._redis.delete(self._turn(kind))
        except RedisError:
            return

    def _turn(self, kind: GrantKind) -> str:
        return f"{self._prefix}:{kind}:turn"
