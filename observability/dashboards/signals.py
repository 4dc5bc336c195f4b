"""Signals and performance: what was signalled, and what it would have earned."""

from observability.dashboards.board import NAME, Board, Kind, Panel, Query, Row

_BY = "$by, rule, horizon"
_N = f"sum by ({_BY}) (increase(stockpipeline_signal_net_return_ratio_count{{$pipelines}}[$__range]))"
_MISSES = f'sum by ({_BY}) (increase(stockpipeline_signal_net_return_ratio_bucket{{$pipelines,le="0.0"}}[$__range]))'
_GAINS = f"sum by ({_BY}) (increase(stockpipeline_signal_gains_ratio_total{{$pipelines}}[$__range]))"
_LOSSES = f"sum by ({_BY}) (increase(stockpipeline_signal_losses_ratio_total{{$pipelines}}[$__range]))"
_SOME = f"({_N} > 0)"
_HITS = f"(1 - {_MISSES} / {_SOME})"
_Z = 1.96


def _wilson(sign: str) -> str:
    """An end of the 95 % interval after Wilson (1927), as docs/performance.md has it."""
    z2 = round(_Z * _Z, 4)
    centre = f"({_HITS} + {z2} / (2 * {_SOME}))"
    spread = f"{_Z} * sqrt({_HITS} * (1 - {_HITS}) / {_SOME} + {z2} / (4 * {_SOME} ^ 2))"
    return f"({centre} {sign} {spread}) / (1 + {z2} / {_SOME})"


_LEGEND = f"{NAME} {{{{rule}}}} {{{{horizon}}}}"

BOARD = Board(
    "signals",
    "StockPipeline / Signals and performance",
    "What was signalled and what it would have earned, after costs, at each horizon. How it is judged: "
    "docs/performance.md.",
    (
        Row(
            "By rule and horizon",
            (
                Panel(
                    "Performance in the shown time",
                    "n: signals that reached the horizon. hit rate: the share that earned more than its costs, with "
                    "its 95 % interval (Wilson). net return: the mean, what one more signal earns on average "
                    "(expectancy). profit factor: gains over losses; empty without losses. Prometheus extrapolates, "
                    "so n need not be whole.",
                    "short",
                    (
                        Query(f"{_SOME}", "n"),
                        Query(_HITS, "hit rate"),
                        Query(_wilson("-"), "from"),
                        Query(_wilson("+"), "to"),
                        Query(f"({_GAINS} - {_LOSSES}) / {_SOME}", "net return"),
                        Query(f"{_GAINS} / ({_LOSSES} > 0)", "profit factor"),
                    ),
                    Kind.TABLE,
                    width=24,
                    height=12,
                    decimals=4,
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Net return of the last shown time",
                    "At each point, the sum of the net returns of all signals that reached the horizon in a window as "
                    "long as the shown time: one unit on every signal, not compounded.",
                    "percentunit",
                    (Query(f"{_GAINS} - {_LOSSES}", _LEGEND),),
                    width=12,
                ),
                Panel(
                    "Hit rate of the last shown time",
                    "The share that earned more than its costs, in the same window.",
                    "percentunit",
                    (Query(_HITS, _LEGEND),),
                    width=12,
                ),
            ),
        ),
        Row(
            "Signals",
            (
                Panel(
                    "Signals by rule",
                    "Signals that readers can see, per hour.",
                    "short",
                    (
                        Query(
                            "3600 * sum by ($by, rule, side) "
                            "(rate(stockpipeline_detector_signals_total{$pipelines}[$__rate_interval]))",
                            f"{NAME} {{{{rule}}}} {{{{side}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Open signals",
                    "Signals whose performance is not final.",
                    "short",
                    (
                        Query(
                            "sum by ($by, rule) (stockpipeline_signal_open_signals{$pipelines})",
                            f"{NAME} {{{{rule}}}}",
                        ),
                    ),
                    Kind.STACK,
                ),
                Panel(
                    "Distribution of net returns",
                    "How many signals reached a horizon with which net return.",
                    "percentunit",
                    (
                        Query(
                            "sum by (le) (increase(stockpipeline_signal_net_return_ratio_bucket{$pipelines}"
                            "[$__rate_interval]))",
                            "{{le}}",
                        ),
                    ),
                    Kind.HEATMAP,
                ),
            ),
        ),
    ),
)
