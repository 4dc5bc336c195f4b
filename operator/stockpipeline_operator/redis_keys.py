"""Deletes a pipeline's keys from Redis."""

from contextlib import closing

from stockpipeline.runtime.redis_client import Redis, RedisError

_TIMEOUT_SECONDS = 5.0
_BATCH = 500


class RedisFailure(Exception):
    """Redis did not do what it was asked; the text names its address."""

    reason = "RedisUnreachable"


def delete_keys(url: str, prefix: str) -> int:
    """Delete every key that begins with `prefix`, without blocking the server; return how many there were.

    Raises:
        RedisFailure: the server cannot be reached or refuses.
    """
    try:
        with closing(
            Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS)
        ) as client:
            return _delete(client, prefix)
    except RedisError as error:
        raise RedisFailure(f"Redis at {url}: cannot delete the keys {prefix}*: {error}") from error


def _delete(client: Redis, prefix: str) -> int:
    deleted = 0
    batch: list[bytes] = []
    # The prefix holds only letters, digits, '-', '.' and ':', none of which is special in a pattern.
    for key in client.scan_iter(match=f"{prefix}*", count=_BATCH):
        batch.append(key)
        if len(batch) == _BATCH:
            deleted += int(client.unlink(*batch))
            batch.clear()
    if batch:
        deleted += int(client.unlink(*batch))
    return deleted
