"""Which partition a key belongs to: the `murmur2` of Java's clients, and of librdkafka's `murmur2_random`.

The detector must know it without asking, to see whose history and state a partition needs.
"""

PARTITIONER = "murmur2_random"
_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key (its UTF-8 bytes) in a topic with `partitions` partitions."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return the unsigned 32-bit hash, as `org.apache.kafka.common.utils.Utils.murmur2` computes it."""
    whole = len(data) & ~3
    h = _SEED ^ len(data)
    for position in range(0, whole, 4):
        k = int.from_bytes(data[position : position + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
