"""The detector: ticks in, signals out, each exactly once (or at least once, and sooner).

`main` wires; `loop` reads, detects and commits; `assignment` knows which partitions are owned and which of
them are restored; `restore` brings a partition's symbols back, and `checkpoint` says where to go on; `intake`
takes messages; `transaction` and `early_signals` are the two ways of `delivery`, `state_writer` writes the
state for both, `schedule` says when; `report` sets gauges; `collector` keeps garbage collection rare.
"""
