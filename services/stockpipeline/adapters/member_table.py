"""The table of a pipeline's producers in Redis: who holds a lease, until when, and which epoch each has seen.

A hash at one key: `epoch`, `run` (the Redis process that made it), `quiet` (nobody takes anything before),
and for each member `m:NAME` with the end of its lease and its epoch. All of it is read and written by one
script, on Redis' own clock, in ms.
"""

from typing import NamedTuple

from stockpipeline.runtime.redis_client import Redis, RedisError

_BEAT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local key, me, seen = KEYS[1], 'm:' .. ARGV[1], ARGV[2]
local lease, grace = tonumber(ARGV[3]), tonumber(ARGV[4])
local function text(number) return string.format('%.0f', number) end
if redis.call('HGET', key, 'run') ~= run then
  -- Made anew, or brought back from a disk: what it says of leases may be old.
  redis.call('DEL', key)
  redis.call('HSET', key, 'run', run, 'epoch', text(now), 'quiet', text(now + lease + grace))
end
local changed = redis.call('HEXISTS', key, me) == 0
redis.call('HSET', key, me, text(now + lease) .. ' ' .. seen)
local fields = redis.call('HGETALL', key)
local members = {}
for i = 1, #fields, 2 do
  local name = string.match(fields[i], '^m:(.*)$')
  if name then
    local ends, saw = string.match(fields[i + 1], '^(%d+) (%d+)$')
    if tonumber(ends) + grace <= now then
      redis.call('HDEL', key, fields[i])
      changed = true
    else
      members[#members + 1] = name
      members[#members + 1] = saw
    end
  end
end
local epoch = tonumber(redis.call('HGET', key, 'epoch'))
if changed then
  epoch = epoch + 1
  redis.call('HSET', key, 'epoch', text(epoch))
end
redis.call('PEXPIRE', key, 86400000)
local quiet = math.max(0, tonumber(redis.call('HGET', key, 'quiet')) - now)
return {text(epoch), text(quiet), members}
"""
_LEAVE = """
if redis.call('HDEL', KEYS[1], 'm:' .. ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
"""


class TableUnavailable(Exception):
    """Redis did not answer; the text has its address."""


class Answer(NamedTuple):
    """What the table says after a beat."""

    epoch: int
    quiet_ms: int
    """For so long nobody may take anything."""
    members: dict[str, int]
    """All that hold a lease, or whose lease has just ended, with the epoch that each has seen."""


class MemberTable:
    """The table at one key; a lease lasts ``lease_ms``, and whoever lets it end is out ``grace_ms`` later."""

    def __init__(self, url: str, key: str, lease_ms: int, grace_ms: int, timeout_seconds: float) -> None:
        self._url = url
        self._key = key
        self._lease_ms = lease_ms
        self._grace_ms = grace_ms
        self._redis = Redis.from_url(
            url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
        )
        self._script = self._redis.register_script(_BEAT)

    def beat(self, member: str, seen: int) -> Answer:
        """Take or renew a lease, and say which epoch the member has seen.

        Raises:
            TableUnavailable: Redis did not answer in time.
        """
        try:
            epoch, quiet, found = self._script(
                keys=[self._key], args=[member, seen, self._lease_ms, self._grace_ms]
            )
        except RedisError as error:
            raise TableUnavailable(f"Redis at {self._url}: {error}") from error
        names = [name.decode() for name in found[::2]]
        return Answer(int(epoch), int(quiet), dict(zip(names, map(int, found[1::2]), strict=True)))

    def leave(self, member: str) -> None:
        """Give the lease back: the member sends nothing any more.

        Raises:
            TableUnavailable: Redis did not answer in time; the lease ends by itself.
        """
        try:
            self._redis.eval(_LEAVE, 1, self._key, member)
        except RedisError as error:
            raise TableUnavailable(f"Redis at {self._url}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
