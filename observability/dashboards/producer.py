"""Producer and sources: who serves which symbols, and how well."""

from observability.dashboards.board import NAME, Board, Kind, Panel, Query, Row
from observability.dashboards.pipeline import quantiles

_SOURCE = f"{NAME} {{{{source}}}}"


def _rate(metric: str, labels: str = "source") -> str:
    return f"sum by ($by, {labels}) (rate(stockpipeline_producer_{metric}{{$pipelines}}[$__rate_interval]))"


BOARD = Board(
    "producer",
    "StockPipeline / Producer and sources",
    "Who serves which symbols, how late, and what the providers refuse. A replay has no sources to choose from: "
    "the panels of live sources have no data then.",
    (
        Row(
            "Symbols",
            (
                Panel(
                    "Session",
                    "Whether ticks are to be expected at a pace: the exchange is open, or a replay plays at a speed.",
                    "short",
                    (Query("max by ($by) (stockpipeline_producer_session_open{$pipelines})"),),
                    Kind.STATES,
                    height=6,
                    names={"0": ("closed", "blue"), "1": ("open", "green")},
                ),
                Panel(
                    "Symbols by state",
                    "Live or stale: no source has them while the exchange is open. "
                    "Runbooks: StockPipelineSymbolsStale, StockPipelineAllSourcesDown.",
                    "short",
                    (
                        Query(
                            "sum by ($by, state) (stockpipeline_producer_symbols{$pipelines})",
                            f"{NAME} {{{{state}}}}",
                        ),
                    ),
                    Kind.STACK,
                    height=6,
                ),
                Panel(
                    "Longest silence",
                    "Time of open exchange since the symbol that is silent for longest was heard of.",
                    "s",
                    (Query("max by ($by) (stockpipeline_producer_staleness_seconds{$pipelines})"),),
                    height=6,
                    limits=(60, 300),
                ),
                Panel(
                    "Served symbols",
                    "How many symbols each source serves.",
                    "short",
                    (
                        Query(
                            "sum by ($by, source) (stockpipeline_producer_served_symbols{$pipelines})",
                            _SOURCE,
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Switches",
                    "Symbols that went over to a source, per minute.",
                    "cpm",
                    (Query(f"60 * {_rate('switches_total')}", _SOURCE),),
                ),
                Panel(
                    "Breakers",
                    "Open: the source's requests fail, and it is only tried now and then. "
                    "Runbook: StockPipelineSourceDown.",
                    "short",
                    (
                        Query(
                            "max by ($by, source) (stockpipeline_producer_breaker_state{$pipelines})", _SOURCE
                        ),
                    ),
                    Kind.STATES,
                    names={"0": ("closed", "green"), "1": ("half open", "orange"), "2": ("open", "red")},
                ),
            ),
        ),
        Row(
            "Ticks",
            (
                Panel(
                    "Ticks by source",
                    "Ticks handed to Kafka.",
                    "cps",
                    (Query(_rate("ticks_total"), _SOURCE),),
                ),
                Panel(
                    "Exchange to producer",
                    "From the exchange's event time to the hand-over to Kafka's client.",
                    "s",
                    quantiles("stockpipeline_producer_event_to_produce_seconds", "source", legend=_SOURCE),
                ),
                Panel(
                    "Not sent, by source",
                    "Ticks that were not sent: standby, late, future, superseded, fenced.",
                    "cps",
                    (Query(_rate("dropped_ticks_total", "source, reason"), f"{_SOURCE} {{{{reason}}}}"),),
                ),
                Panel(
                    "No ticks at all, by source",
                    "What a source gave and is no tick.",
                    "cps",
                    (Query(_rate("dead_letters_total", "source, reason"), f"{_SOURCE} {{{{reason}}}}"),),
                ),
                Panel(
                    "Waiting for Kafka",
                    "Ticks that wait for Kafka's acknowledgement.",
                    "short",
                    (Query("sum by ($by) (stockpipeline_producer_queue_messages{$pipelines})"),),
                    limits=(10000, 100000),
                ),
                Panel(
                    "Symbols of each producer",
                    "Who sends how many: several producers of a pipeline share its symbols.",
                    "short",
                    (
                        Query(
                            "sum by ($by, pod) (stockpipeline_producer_owned_symbols{$pipelines})",
                            f"{NAME} {{{{pod}}}}",
                        ),
                    ),
                ),
                Panel(
                    "Refused by Kafka for good",
                    "After one the producer starts anew, so a count is seldom seen.",
                    "cps",
                    (
                        Query(
                            "sum by ($by) "
                            "(rate(stockpipeline_producer_delivery_failures_total{$pipelines}[$__rate_interval]))"
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Providers",
            (
                Panel(
                    "Refused for being too many",
                    "Answers that said there were too many requests. Runbook: StockPipelineRateLimited.",
                    "cpm",
                    (Query(f"60 * {_rate('rate_limit_refusals_total')}", _SOURCE),),
                    width=6,
                ),
                Panel(
                    "Waiting for the rate limit",
                    "Seconds that requests wait, per second; 1 is one request that always waits.",
                    "short",
                    (Query(_rate("rate_limit_wait_seconds_total"), _SOURCE),),
                    width=6,
                ),
                Panel(
                    "Age of the token",
                    "Of a source's access token. Runbook: StockPipelineTokenOld.",
                    "s",
                    (
                        Query(
                            "max by ($by, source) (stockpipeline_producer_token_age_seconds{$pipelines})",
                            _SOURCE,
                        ),
                    ),
                    width=6,
                    limits=(82800, 86400),
                ),
                Panel(
                    "Reconnects",
                    "Connections made after the first, per minute.",
                    "cpm",
                    (Query(f"60 * {_rate('reconnects_total')}", _SOURCE),),
                    width=6,
                ),
            ),
        ),
        Row(
            "Replay",
            (
                Panel(
                    "Event time",
                    "Exchange time of the last tick.",
                    "dateTimeAsIso",
                    (
                        Query(
                            "1000 * max by ($by) (stockpipeline_producer_event_time_seconds{$pipelines} > 0)"
                        ),
                    ),
                    Kind.STAT,
                    width=12,
                    height=4,
                ),
                Panel(
                    "Played to its end",
                    "Whether a replay has no more ticks and all were acknowledged.",
                    "short",
                    (Query("max by ($by) (stockpipeline_producer_exhausted{$pipelines})"),),
                    Kind.STATES,
                    width=12,
                    height=4,
                    names={"0": ("no", "blue"), "1": ("yes", "green")},
                ),
            ),
        ),
    ),
)
