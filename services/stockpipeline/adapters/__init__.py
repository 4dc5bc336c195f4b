"""Thin adapters to the servers: Kafka and Redis. No other package imports their client libraries."""
