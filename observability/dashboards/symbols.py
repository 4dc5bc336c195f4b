"""Signals by symbol: what Prometheus does not have, for it has no label per symbol, asked of a replica by SQL."""

from observability.dashboards.board import Board, Column, Kind, Row, SqlPanel

# Of each signal the newest record; of that, each horizon that was reached.
_REACHED = """
WITH newest AS (
  SELECT max_by(record, recorded_at)::JSON AS record FROM performance GROUP BY signal_id
), judged AS (
  SELECT record->>'symbol' AS symbol, record->>'rule' AS rule, horizon, record->'horizons'->horizon AS figures
  FROM (SELECT record, unnest(json_keys(record->'horizons')) AS horizon FROM newest)
), reached AS (
  SELECT symbol, rule, horizon, (figures->'exit'->>'ts')::BIGINT AS ts, (figures->>'net_return')::DOUBLE AS net,
    (figures->>'mfe')::DOUBLE AS mfe, (figures->>'mae')::DOUBLE AS mae
  FROM judged WHERE json_type(figures) = 'OBJECT' AND symbol LIKE ?
)
"""
_EQUITY = """
SELECT ts, rule || ' ' || horizon AS series,
  sum(net) OVER (PARTITION BY rule, horizon ORDER BY ts, symbol) AS equity
FROM reached ORDER BY ts
"""
# 1.96 is that of a 95 % interval, and 3.8416 its square (Wilson 1927), as docs/performance.md has it.
_JUDGED = """, counted AS (
  SELECT symbol, rule, horizon, count(*) AS n, avg((net > 0)::INT) AS hits, avg(net) AS net, avg(mfe) AS mfe,
    avg(mae) AS mae
  FROM reached GROUP BY ALL
), spread AS (
  SELECT *, hits + 3.8416 / (2 * n) AS centre,
    1.96 * sqrt(hits * (1 - hits) / n + 3.8416 / (4 * n * n)) AS half, 1 + 3.8416 / n AS part
  FROM counted
)
SELECT symbol, rule, horizon, n, hits, (centre - half) / part AS low, (centre + half) / part AS high, net, mfe, mae
FROM spread ORDER BY n DESC, symbol, rule, horizon LIMIT 1000
"""
_OPEN = """
WITH newest AS (
  SELECT max_by(record, recorded_at)::JSON AS record FROM performance GROUP BY signal_id
)
SELECT (record->'signal'->>'ts')::BIGINT AS ts, record->>'symbol' AS symbol, record->>'rule' AS rule,
  record->>'side' AS side, (record->'entry'->>'price')::DOUBLE AS entry,
  (record->'live'->>'net_return')::DOUBLE AS net, (record->'live'->>'mfe')::DOUBLE AS mfe,
  (record->'live'->>'mae')::DOUBLE AS mae
FROM newest WHERE (record->>'status') = 'open' AND (record->>'symbol') LIKE ? ORDER BY ts DESC LIMIT 1000
"""

BOARD = Board(
    "symbols",
    "StockPipeline / Signals by symbol",
    "What each symbol's signals would have earned, after costs, of one pipeline that has a store and replicas. It "
    "needs the data source Infinity: docs/store.md, From Grafana. How it is judged: docs/performance.md.",
    (
        Row(
            "Performance",
            (
                SqlPanel(
                    "Equity",
                    "The sum of the net returns of all signals that have reached the horizon: one unit on every signal, "
                    "not compounded. By the exchange's time: for a replay, choose the years that it replays.",
                    "percentunit",
                    sql=_REACHED + _EQUITY,
                    columns=(Column("time", "timestamp_epoch"), Column("series"), Column("equity", "number")),
                    width=24,
                    height=9,
                ),
                SqlPanel(
                    "By symbol, rule and horizon",
                    "n: signals that have reached the horizon. hit rate: the share that earned more than its costs, with "
                    "its 95 % interval (Wilson). net return: the mean, what one more signal earns on average "
                    "(expectancy). MFE and MAE: the best and the worst return on the way, on average.",
                    "short",
                    kind=Kind.TABLE,
                    sql=_REACHED + _JUDGED,
                    columns=(
                        Column("symbol"),
                        Column("rule"),
                        Column("horizon"),
                        Column("n", "number"),
                        Column("hit rate", "number"),
                        Column("from", "number"),
                        Column("to", "number"),
                        Column("net return", "number"),
                        Column("MFE", "number"),
                        Column("MAE", "number"),
                    ),
                    width=24,
                    height=12,
                    decimals=4,
                ),
            ),
        ),
        Row(
            "Signals",
            (
                SqlPanel(
                    "Open signals",
                    "Signals whose performance is not final, and what they are worth at the newest price that was told.",
                    "short",
                    kind=Kind.TABLE,
                    sql=_OPEN,
                    columns=(
                        Column("time", "timestamp_epoch"),
                        Column("symbol"),
                        Column("rule"),
                        Column("side"),
                        Column("entry", "number"),
                        Column("net return", "number"),
                        Column("MFE", "number"),
                        Column("MAE", "number"),
                    ),
                    width=24,
                    height=10,
                    decimals=4,
                ),
            ),
        ),
    ),
)
