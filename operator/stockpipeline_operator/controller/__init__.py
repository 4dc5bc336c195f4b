"""From events to passes: a queue of keys, workers that take them, and a resync that misses nothing."""
