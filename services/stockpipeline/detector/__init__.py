"""The detector: ticks in, signals out, each exactly once.

`main` wires; `loop` reads, detects and commits; `assignment` knows which partitions are owned and which of
them are restored; `restore` brings a partition's symbols back; `intake` takes messages; `transaction` makes
signals, state and offsets visible together; `report` sets gauges.
"""
