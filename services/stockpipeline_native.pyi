"""The extension module of services/native; what its parts do is told there."""

from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import Consumer, Message

class TapeFields:
    bar: int
    opens_ms: int
    closes_ms: int
    newest_ms: int
    newest_number: int
    trade_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_price: float
    trade_volume: float
    quiet_low: float
    quiet_high: float
    quiet_until: int

class Program:
    def __init__(self, code: bytes) -> None: ...
    def value(self, now: bytes, past: bytes) -> float: ...

class Stream:
    def __init__(
        self, pointer: int, functions: tuple[int, int, int, int], inputs: int, outputs: int, integers: int
    ) -> None: ...
    def update(self, *bar: float) -> float | tuple[float, ...]: ...
    def peek(self, *bar: float) -> float | tuple[float, ...]: ...
    @property
    def value(self) -> float | tuple[float, ...]: ...

class Lane:
    def __init__(self, symbol: str, tape: TapeFields) -> None: ...
    def watch(
        self,
        bounds: tuple[tuple[int, float, float], ...],
        programs: tuple[Program, ...],
        columns: tuple[tuple[Stream, int, bytes], ...],
        past: bytes,
        terms: tuple[tuple[Program, int], ...] = (),
    ) -> None: ...
    def rest(self) -> None: ...

class Batch:
    def __init__(self, width: int, partitions: int) -> None: ...
    def admit(self, partition: int, latest_ms: int) -> None: ...
    def own(self, lanes: dict[str, Lane], partitions: dict[str, int]) -> None: ...
    def take(self, messages: Messages | list[Any], start: int, changed: list[str]) -> int: ...

class Messages:
    def __len__(self) -> int: ...
    def __getitem__(self, at: int) -> Message: ...
    def __iter__(self) -> Iterator[Message]: ...

class Inbox:
    def __init__(
        self, consumer: Consumer, functions: tuple[int, ...], most: int, make: Callable[..., Message]
    ) -> None: ...
    def follow(self, topic: str, partition: int) -> None: ...
    def take(self, seconds: float) -> Messages: ...
    def close(self) -> None: ...

def read_tick(data: bytes) -> tuple[str, float, float, int, int] | None: ...
