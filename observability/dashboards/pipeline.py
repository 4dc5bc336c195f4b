"""Pipeline: the way of a tick from its source to a signal, hop by hop."""

from observability.dashboards.board import NAME, Board, Panel, Query, Row


def quantiles(metric: str, by: str = "", *, legend: str = NAME, exemplars: bool = False) -> tuple[Query, ...]:
    """Return the median and two tails of a histogram, by pipeline and what else is asked for."""
    labels = f"$by, {by}" if by else "$by"
    return tuple(
        Query(
            f"histogram_quantile({quantile}, sum by ({labels}, le) "
            f"(rate({metric}_bucket{{$pipelines}}[$__rate_interval])))",
            f"{legend} p{round(quantile * 100)}",
            exemplars=exemplars and quantile == 0.99,  # the same for all three
        )
        for quantile in (0.5, 0.95, 0.99)
    )


BOARD = Board(
    "pipeline",
    "StockPipeline / Pipeline",
    "The way of a tick: from a source through Kafka and the detector to a signal; how many, how late, what is lost.",
    (
        Row(
            "How many",
            (
                Panel(
                    "Sent to Kafka",
                    "Ticks that the producer hands to Kafka.",
                    "cps",
                    (
                        Query(
                            "sum by ($by) (rate(stockpipeline_producer_ticks_total{$pipelines}[$__rate_interval]))"
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Taken by the detector",
                    "Records read from Kafka, refused ones included.",
                    "cps",
                    (
                        Query(
                            "sum by ($by) (rate(stockpipeline_detector_ticks_total{$pipelines}[$__rate_interval]))"
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Signals",
                    "Signals that readers can see, per hour.",
                    "short",
                    (
                        Query(
                            "3600 * sum by ($by, side) "
                            "(rate(stockpipeline_detector_signals_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{side}}}}",
                        ),
                    ),
                    width=6,
                ),
                Panel(
                    "Waiting",
                    "Ticks that wait for Kafka's acknowledgement, and for the detector.",
                    "short",
                    (
                        Query(
                            "sum by ($by) (stockpipeline_producer_queue_messages{$pipelines})",
                            f"{NAME} for Kafka",
                        ),
                        Query(
                            "sum by ($by) (stockpipeline_detector_lag_records{$pipelines})",
                            f"{NAME} for detector",
                        ),
                    ),
                    width=6,
                    limits=(1000, 10000),
                ),
            ),
        ),
        Row(
            "How late",
            (
                Panel(
                    "Exchange to producer",
                    "From the exchange's event time to the hand-over to Kafka's client. Live sources only; many "
                    "providers give whole seconds.",
                    "s",
                    quantiles("stockpipeline_producer_event_to_produce_seconds"),
                ),
                Panel(
                    "Kafka to signal",
                    "From a tick's arrival in Kafka until its signal can be read. 99 % within 1 s are promised.",
                    "s",
                    quantiles("stockpipeline_detector_tick_to_signal_seconds"),
                    limits=(0.5, 1),
                ),
                Panel(
                    "Age of the newest processed tick",
                    "How long ago it came to Kafka; 0 while none waits.",
                    "s",
                    (Query("max by ($by) (stockpipeline_detector_watermark_age_seconds{$pipelines})"),),
                    limits=(10, 60),
                ),
            ),
        ),
        Row(
            "What did not pass",
            (
                Panel(
                    "Not sent",
                    "What sources gave and the producer did not send: another source serves the symbol, too late, "
                    "from the future, or superseded while Kafka was away.",
                    "cps",
                    (
                        Query(
                            "sum by ($by, reason) "
                            "(rate(stockpipeline_producer_dropped_ticks_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{reason}}}}",
                        ),
                    ),
                ),
                Panel(
                    "No ticks at all",
                    "What sources gave and is no tick; it is in the dead-letter topic. "
                    "Runbook: StockPipelineDeadLetters.",
                    "cps",
                    (
                        Query(
                            "sum by ($by, reason) "
                            "(rate(stockpipeline_producer_dead_letters_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{reason}}}}",
                        ),
                    ),
                ),
                Panel(
                    "Refused by the detector",
                    "Ticks that changed nothing. All reasons but late, duplicate and outside-session went to the "
                    "dead-letter topic.",
                    "cps",
                    (
                        Query(
                            "sum by ($by, reason) "
                            "(rate(stockpipeline_detector_refused_ticks_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{reason}}}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
