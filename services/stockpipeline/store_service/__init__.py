"""The store as a service: one process loads signals and performance from Kafka into the master, and another
one publishes it. docs/store.md says why these are two.
"""
