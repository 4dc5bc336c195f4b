"""Alerts on what goes wrong in a pipeline: sources, detector, processes."""

from observability.alerts.rule import BY, Alert, Group

_OPEN = f"max by ({BY}) (stockpipeline_producer_session_open) == 1"
# All reasons but those that need no dead letter.
_DEAD_LETTERS = 'stockpipeline_detector_refused_ticks_total{reason!~"late|duplicate|outside-session"}'
_PIPELINE = "{{ $labels.namespace }}/{{ $labels.pipeline }}"
_SOURCE = "{{ $labels.source }} of " + _PIPELINE

_SOURCES = (
    Alert(
        name="Silent",
        severity="critical",
        wait="5m",
        expr=f"""
        max by ({BY}) (min_over_time(stockpipeline_producer_session_open[10m])) == 1
          unless on ({BY}) sum by ({BY}) (increase(stockpipeline_producer_ticks_total[10m])) > 0
        """,
        summary="The exchange is open, and the pipeline has sent no tick for ten minutes",
        description=f"The producer of {_PIPELINE} runs and sends nothing.",
        dashboard="producer",
    ),
    Alert(
        name="AllSourcesDown",
        severity="critical",
        wait="2m",
        expr=f"""
        sum by ({BY}) (stockpipeline_producer_symbols{{state="live"}}) == 0
          and on ({BY}) sum by ({BY}) (stockpipeline_producer_symbols) > 0
          and on ({BY}) {_OPEN}
        """,
        summary="The exchange is open, and no source has any symbol of the pipeline",
        description=f"Every symbol of {_PIPELINE} is stale: all of its sources fail or are silent.",
        dashboard="producer",
    ),
    Alert(
        name="SymbolsStale",
        severity="warning",
        wait="5m",
        expr="stockpipeline:stale_symbols:ratio > 0.1",
        summary="Many symbols have no source while the exchange is open",
        description="{{ $value | humanizePercentage }} of the symbols of " + _PIPELINE + " are stale.",
        dashboard="producer",
    ),
    Alert(
        name="SourceDown",
        severity="warning",
        wait="1m",
        # An open breaker lets single requests through, so it is never open for long without a break.
        expr=f"""
        max by ({BY}, source) (min_over_time(stockpipeline_producer_breaker_state[5m])) > 0
          and on ({BY}) {_OPEN}
        """,
        summary="A source fails; those after it in the pipeline's list serve its symbols",
        description=f"The circuit breaker of {_SOURCE} has not been closed for five minutes.",
        dashboard="producer",
    ),
    Alert(
        name="TokenOld",
        severity="warning",
        wait="5m",
        expr=f"max by ({BY}, source) (stockpipeline_producer_token_age_seconds) > 24 * 3600",
        summary="A source's access token is older than the provider lets it be",
        description="The token of " + _SOURCE + " is {{ $value | humanizeDuration }} old.",
        dashboard="producer",
    ),
    Alert(
        name="RateLimited",
        severity="warning",
        wait="5m",
        expr=f"sum by ({BY}, source) (increase(stockpipeline_producer_rate_limit_refusals_total[15m])) > 10",
        summary="A provider refuses requests because there are too many",
        description=_SOURCE + " was refused {{ $value | humanize }} times in 15 minutes.",
        dashboard="producer",
    ),
)

_DETECTOR = (
    Alert(
        name="DetectorStuck",
        severity="critical",
        wait="5m",
        expr=f"""
        sum by ({BY}) (stockpipeline_detector_lag_records) > 0
          unless on ({BY}) sum by ({BY}) (increase(stockpipeline_detector_ticks_total[5m])) > 0
        """,
        summary="Ticks wait, and the detector takes none",
        description="{{ $value | humanize }} ticks of " + _PIPELINE + " wait.",
        dashboard="detector",
    ),
    Alert(
        name="LagGrowing",
        severity="warning",
        wait="10m",
        expr=f"""
        sum by ({BY}) (stockpipeline_detector_lag_records) > 10000
          and on ({BY}) sum by ({BY}) (deriv(stockpipeline_detector_lag_records[15m])) > 0
          and on ({BY}) {_OPEN}
        """,
        summary="More ticks come than the detectors take",
        description="{{ $value | humanize }} ticks of " + _PIPELINE + " wait, and they become more.",
        dashboard="detector",
    ),
    Alert(
        name="DeadLetters",
        severity="warning",
        wait="0m",
        expr=f"""
        sum by ({BY}) (increase({_DEAD_LETTERS}[15m])) > 0
          or sum by ({BY}) (increase(stockpipeline_producer_dead_letters_total[15m])) > 0
        """,
        summary="What came as ticks is none, and went to the dead-letter topic",
        description="{{ $value | humanize }} records of " + _PIPELINE + " in 15 minutes.",
        dashboard="pipeline",
    ),
    Alert(
        name="TransactionsAborted",
        severity="warning",
        wait="5m",
        expr=f"sum by ({BY}) (increase(stockpipeline_detector_transactions_aborted_total[15m])) > 3",
        summary="Kafka transactions of the detector fail again and again",
        description="{{ $value | humanize }} transactions of " + _PIPELINE + " were aborted in 15 minutes.",
        dashboard="detector",
    ),
    Alert(
        name="Rebalancing",
        severity="warning",
        wait="5m",
        expr=f"sum by ({BY}) (increase(stockpipeline_detector_rebalances_total[30m])) > 20",
        summary="The detectors' partitions change hands again and again",
        description="{{ $value | humanize }} changes in 30 minutes in " + _PIPELINE + ".",
        dashboard="detector",
    ),
    Alert(
        name="SymbolsWarming",
        severity="info",
        wait="1h",
        expr=f'sum by ({BY}) (stockpipeline_detector_symbols{{state="warming"}}) > 0',
        summary="Symbols have too little history to signal",
        description="{{ $value | humanize }} symbols of " + _PIPELINE + " cannot signal yet.",
        dashboard="detector",
    ),
)

_PROCESSES = (
    Alert(
        name="TargetDown",
        severity="warning",
        wait="5m",
        expr='up{component=~"producer|detector|store|replica|operator"} == 0',
        summary="A component does not answer when asked for its metrics",
        description="{{ $labels.component }} {{ $labels.namespace }}/{{ $labels.pod }} does not answer.",
        dashboard="overview",
        of_pipeline=False,
    ),
    Alert(
        name="Restarting",
        severity="warning",
        wait="0m",
        expr="""
        changes(process_start_time_seconds{component=~"producer|detector|store|replica|operator"}[30m]) > 3
        """,
        summary="A component ends and is started again and again",
        description="{{ $labels.component }} {{ $labels.namespace }}/{{ $labels.pod }} was started "
        "{{ $value | humanize }} times in 30 minutes.",
        dashboard="overview",
        of_pipeline=False,
    ),
)

ALERTS = Group("stockpipeline-causes", (*_SOURCES, *_DETECTOR, *_PROCESSES))
