"""The producer: a source's ticks to Kafka, each once, at the source's pace.

`main` wires; `resume` finds out what was sent before; `loop` sends.
"""
