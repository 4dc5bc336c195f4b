"""Alerts on the servers of the local chart. Whoever brings a Kafka of their own has alerts for it."""

from observability.alerts.rule import Alert, Group

ALERTS = Group(
    "stockpipeline-backends",
    (
        Alert(
            name="BackendDown",
            severity="warning",
            wait="1m",
            expr='up{component=~"kafka|redis|prometheus|alertmanager"} == 0',
            summary="A server of the backends does not answer when asked for its metrics",
            description="{{ $labels.component }} {{ $labels.namespace }}/{{ $labels.pod }} does not answer.",
            dashboard="overview",
            of_pipeline=False,
        ),
        Alert(
            name="KafkaPartitionsOffline",
            severity="critical",
            wait="1m",
            expr="kafka_controller_offlinepartitionscount > 0",
            summary="Partitions of Kafka are offline: nothing can be written to or read from them",
            description="{{ $value }} partitions are offline in {{ $labels.namespace }}.",
            dashboard="overview",
            of_pipeline=False,
        ),
        Alert(
            name="RedisDown",
            severity="critical",
            wait="1m",
            expr="redis_up == 0",
            summary="Redis does not answer: detectors cannot warm up",
            description="Redis in {{ $labels.namespace }} does not answer its exporter.",
            dashboard="overview",
            of_pipeline=False,
        ),
        Alert(
            name="RedisMemoryFull",
            severity="warning",
            wait="5m",
            expr="redis_memory_used_bytes / redis_memory_max_bytes > 0.9",
            summary="Redis nearly has all of its memory limit; beyond it writes are refused",
            description="Redis in {{ $labels.namespace }} uses {{ $value | humanizePercentage }} of it.",
            dashboard="overview",
            of_pipeline=False,
        ),
    ),
)
