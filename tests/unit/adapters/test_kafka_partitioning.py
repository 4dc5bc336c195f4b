"""The partitioner of Java's clients."""

import pytest

from stockpipeline.adapters.kafka_partitioning import murmur2, partition_of


# From UtilsTest.testMurmur2 of Apache Kafka.
@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_the_one_of_java(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


def test_the_sign_bit_is_dropped_before_the_remainder() -> None:
    assert partition_of("foobar", 7) == (-790332482 & 0x7FFFFFFF) % 7
