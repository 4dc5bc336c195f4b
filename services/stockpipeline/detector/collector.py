"""When Python's cyclic garbage collector runs in the detector.

Each message read is an object that the collector tracks, so by its defaults it runs more than once a batch
and looks through all messages of it, without ever finding garbage: none of what ticks leave behind is in a
cycle. What makes cycles (an exception with its frames, a rebuilt symbol) is rare.
"""

import gc

_NEW_OBJECTS = 50_000
"""Dozens of batches."""


def settle() -> None:
    """Leave what exists now out of all later collections, and let those be seldom."""
    gc.collect()
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, middle, old)
