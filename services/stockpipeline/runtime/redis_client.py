"""Redis' client, which would load OpenTelemetry only because it is there: a third of a second for nothing."""

from stockpipeline.runtime.imports import without

with without("opentelemetry"):
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError, WatchError
    from redis.retry import Retry

__all__ = ["AsyncRedis", "NoBackoff", "Redis", "RedisError", "Retry", "WatchError"]
