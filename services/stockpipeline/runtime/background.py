"""Calls that may never return, made where they hold up nobody."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(call: Callable[[], T]) -> Future[T]:
    """Make a call in a thread of its own; the future gets what it returns or raises.

    The thread is a daemon: unlike those of an executor, it does not keep the process from ending.
    """
    answer: Future[T] = Future()

    def make() -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=make, name="background-call", daemon=True).start()
    return answer
