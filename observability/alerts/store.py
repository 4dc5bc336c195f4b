"""Alerts on the store and its replicas."""

from observability.alerts.rule import BY, Alert, Group

_PIPELINE = "{{ $labels.namespace }}/{{ $labels.pipeline }}"
_POD = "{{ $labels.pod }} of " + _PIPELINE

ALERTS = Group(
    "stockpipeline-store",
    (
        Alert(
            name="StoreRecordsLost",
            severity="critical",
            wait="0m",
            expr=f"sum by ({BY}) (increase(stockpipeline_store_lost_records_total[1h])) > 0",
            summary="Kafka deleted records before the store had loaded them",
            description="{{ $value | humanize }} records of " + _PIPELINE + " are not in the store.",
            dashboard="store",
        ),
        Alert(
            name="StoreLagGrowing",
            severity="warning",
            wait="15m",
            expr=f"""
            sum by ({BY}) (stockpipeline_store_lag_records) > 10000
              and on ({BY}) sum by ({BY}) (deriv(stockpipeline_store_lag_records[15m])) > 0
            """,
            summary="More records come than the store loads",
            description="{{ $value | humanize }} records of " + _PIPELINE + " wait, and they become more.",
            dashboard="store",
        ),
        Alert(
            name="StoreRecordsRefused",
            severity="warning",
            wait="0m",
            expr=f"sum by ({BY}, topic) (increase(stockpipeline_store_refused_records_total[15m])) > 0",
            summary="The store was given records that are not what their topic should have",
            description="{{ $value | humanize }} records of {{ $labels.topic }} of "
            + _PIPELINE
            + " in 15 minutes.",
            dashboard="store",
        ),
        Alert(
            name="StoreDeliveryRefused",
            severity="warning",
            wait="0m",
            expr=f"""sum by ({BY}) (increase(stockpipeline_store_deliveries_total{{result="refused"}}[15m])) > 0""",
            summary="The batch delivered what the store cannot load",
            description="{{ $value | humanize }} deliveries to " + _PIPELINE + " were refused in 15 minutes.",
            dashboard="store",
        ),
        Alert(
            name="StorePublishFailing",
            severity="warning",
            wait="5m",
            expr=f"sum by ({BY}) (increase(stockpipeline_store_publish_failures_total[15m])) > 3",
            summary="The store cannot publish; replicas keep what they have",
            description="{{ $value | humanize }} publications of " + _PIPELINE + " failed in 15 minutes.",
            dashboard="store",
        ),
        Alert(
            name="StoreDiskFull",
            severity="warning",
            wait="15m",
            expr=f"""
            min by ({BY}, pod) (
              stockpipeline_store_free_bytes / (stockpipeline_store_free_bytes + stockpipeline_store_size_bytes)
            ) < 0.1
              or min by ({BY}, pod) (
                stockpipeline_replica_free_bytes
                  / (stockpipeline_replica_free_bytes + stockpipeline_replica_size_bytes)
              ) < 0.1
            """,
            summary="The volume of the store or of a replica is nearly full",
            description="The volume of " + _POD + " has {{ $value | humanizePercentage }} left.",
            dashboard="store",
        ),
        Alert(
            name="ReplicaStale",
            severity="warning",
            wait="5m",
            expr=f"max by ({BY}, pod) (stockpipeline_replica_lag_seconds) > 300",
            summary="A replica has not had the newest generation for long",
            description=_POD + " was last known to be fresh {{ $value | humanizeDuration }} ago.",
            dashboard="store",
        ),
        Alert(
            name="ReplicaPullFailing",
            severity="warning",
            wait="5m",
            expr=f"sum by ({BY}, pod) (increase(stockpipeline_replica_pull_failures_total[15m])) > 3",
            summary="A replica cannot pull; it serves what it has",
            description=_POD + " failed to pull {{ $value | humanize }} times in 15 minutes.",
            dashboard="store",
        ),
        Alert(
            name="ReplicaVerifyFailed",
            severity="critical",
            wait="0m",
            expr=f"sum by ({BY}, pod) (increase(stockpipeline_replica_verify_failures_total[15m])) > 0",
            summary="A replica found data that are not what their hash says",
            description=_POD + " refused {{ $value | humanize }} blocks or objects in 15 minutes.",
            dashboard="store",
        ),
    ),
)
