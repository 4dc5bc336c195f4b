"""Store and replicas: is all loaded, is it published, and is every copy of it new and whole."""

from observability.dashboards.board import NAME, Board, Panel, Query, Row
from observability.dashboards.pipeline import quantiles

_POD = f"{NAME} {{{{pod}}}}"


def _rate(metric: str, more: str = "") -> str:
    return f"sum by ($by{more}) (rate(stockpipeline_{metric}{{$pipelines}}[$__rate_interval]))"


def _of_pods(metric: str) -> Query:
    return Query(f"max by ($by, pod) (stockpipeline_{metric}{{$pipelines}})", _POD)


BOARD = Board(
    "store",
    "StockPipeline / Store and replicas",
    "The DuckDB store: whether all is loaded and published, and whether each replica is new and whole.",
    (
        Row(
            "Replicas",
            (
                Panel(
                    "Behind, in generations",
                    "Generations between the store's newest and the one that a replica has.",
                    "short",
                    (_of_pods("replica_lag_generations"),),
                    limits=(2, 10),
                ),
                Panel(
                    "Behind, in time",
                    "How long ago a replica's generation was last known to be the newest.",
                    "s",
                    (_of_pods("replica_lag_seconds"),),
                    limits=(30, 60),
                ),
                Panel(
                    "From commit to readable",
                    "From a commit of the master until a replica's readers get it.",
                    "s",
                    quantiles("stockpipeline_replica_freshness_seconds"),
                    limits=(10, 15),
                ),
                Panel(
                    "Generations",
                    "What is published, what each replica has, and what its SQL endpoint reads.",
                    "short",
                    (
                        Query(
                            "max by ($by) (stockpipeline_store_generation{$pipelines})", f"{NAME} published"
                        ),
                        Query(
                            "max by ($by, pod) (stockpipeline_replica_generation{$pipelines})", f"{_POD} has"
                        ),
                        Query(
                            "max by ($by, pod) (stockpipeline_replica_reader_generation{$pipelines})",
                            f"{_POD} reads",
                        ),
                    ),
                ),
                Panel(
                    "Failures of pulls, and damage",
                    "Pulls that failed and are tried again; blocks and objects that are not what their hash says.",
                    "cps",
                    (
                        Query(_rate("replica_pull_failures_total"), f"{NAME} pulls"),
                        Query(_rate("replica_verify_failures_total"), f"{NAME} damaged"),
                    ),
                ),
                Panel(
                    "Last scrub",
                    "Time since all blocks of a replica were read and verified.",
                    "s",
                    (_of_pods("replica_scrub_age_seconds"),),
                    limits=(100_000, 200_000),
                ),
            ),
        ),
        Row(
            "Store",
            (
                Panel(
                    "Waiting records",
                    "Offsets between what the master holds and the ends of its topics.",
                    "short",
                    (Query("max by ($by) (stockpipeline_store_lag_records{$pipelines})"),),
                    limits=(1000, 10000),
                ),
                Panel(
                    "Records and commits",
                    "Records that were committed, by topic, and the transactions that did it.",
                    "cps",
                    (
                        Query(_rate("store_records_total", ", topic"), f"{NAME} {{{{topic}}}}"),
                        Query(_rate("store_commits_total"), f"{NAME} commits"),
                    ),
                ),
                Panel(
                    "Deliveries of the batch",
                    "Deliveries that were loaded or refused, and those that wait.",
                    "short",
                    (
                        Query(
                            "sum by ($by, result)"
                            " (increase(stockpipeline_store_deliveries_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{result}}}}",
                        ),
                        Query(
                            "max by ($by) (stockpipeline_store_waiting_deliveries{$pipelines})",
                            f"{NAME} waiting",
                        ),
                    ),
                ),
                Panel(
                    "Rows of the batch, and upkeep",
                    "Rows that the batch changed and the history gave up, by table; compactions of the master.",
                    "cps",
                    (
                        Query(_rate("store_delivered_rows_total", ", table"), f"{NAME} {{{{table}}}} loaded"),
                        Query(
                            _rate("store_forgotten_rows_total", ", table"), f"{NAME} {{{{table}}}} deleted"
                        ),
                        Query(_rate("store_compactions_total"), f"{NAME} compactions"),
                    ),
                ),
                Panel(
                    "Records that are missing",
                    "Records that were none of their topic, and offsets that Kafka had deleted before they were loaded.",
                    "cps",
                    (
                        Query(
                            _rate("store_refused_records_total", ", topic"), f"{NAME} refused {{{{topic}}}}"
                        ),
                        Query(_rate("store_lost_records_total"), f"{NAME} lost"),
                    ),
                ),
                Panel(
                    "Duration of a publication",
                    "Lock, scan and upload.",
                    "s",
                    quantiles("stockpipeline_store_publish_seconds"),
                    limits=(5, 30),
                ),
                Panel(
                    "Failed publications",
                    "By kind of error; each is tried again.",
                    "cps",
                    (Query(_rate("store_publish_failures_total", ", error"), f"{NAME} {{{{error}}}}"),),
                ),
                Panel(
                    "Kept generations",
                    "Generations that can be restored.",
                    "short",
                    (Query("max by ($by) (stockpipeline_store_kept_generations{$pipelines})"),),
                ),
            ),
        ),
        Row(
            "Bytes",
            (
                Panel(
                    "Changed and moved",
                    "Blocks that changed, as they are in the file, and what went over the network for it, compressed.",
                    "Bps",
                    (
                        Query(_rate("store_changed_bytes_total"), f"{NAME} changed"),
                        Query(_rate("store_uploaded_bytes_total"), f"{NAME} uploaded"),
                        Query(_rate("replica_changed_bytes_total"), f"{NAME} changed in replicas"),
                        Query(_rate("replica_fetched_bytes_total"), f"{NAME} fetched by replicas"),
                    ),
                ),
                Panel(
                    "Size",
                    "Of the master, and of the current file of each replica.",
                    "bytes",
                    (
                        Query("max by ($by) (stockpipeline_store_size_bytes{$pipelines})", f"{NAME} master"),
                        _of_pods("replica_size_bytes"),
                    ),
                ),
                Panel(
                    "Empty in the master",
                    "Blocks that hold nothing; later rows go there. Written anew once most of it is empty.",
                    "bytes",
                    (Query("max by ($by) (stockpipeline_store_empty_bytes{$pipelines})"),),
                ),
                Panel(
                    "Free space",
                    "On the master's volume, and where replicas are.",
                    "bytes",
                    (
                        Query("max by ($by) (stockpipeline_store_free_bytes{$pipelines})", f"{NAME} master"),
                        _of_pods("replica_free_bytes"),
                    ),
                ),
            ),
        ),
    ),
)
