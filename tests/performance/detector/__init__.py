"""The whole job of the detector through a real broker, next to other ways of doing it, in the same run.

`contenders/` are programs, each a process of its own that prints one line of JSON; `workload` makes ticks and
history; `throughput`, `latency` and `start_up` measure; `__main__` runs all of it and reports.
"""
