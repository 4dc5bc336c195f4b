"""The indicators that TA-Lib lacks, as data, like those of ``talib_catalog.json``: what ``own`` computes.

Sources: J. Bollinger, Bollinger on Bollinger Bands (2001), for %B and BandWidth; G. Hosoda's Ichimoku Kinko
Hyo as described by N. Elliott, Ichimoku Charts (2007); Fibonacci retracements of the range of a window; the
volume-weighted average price of a session, with a bar's typical price for that of its trades.
"""

from typing import Any

_MOVING_AVERAGE = {"name": "matype", "type": "integer", "default": 0, "minimum": 0, "maximum": 13}


def _period(name: str, default: int) -> dict[str, Any]:
    return {"name": name, "type": "integer", "default": default, "minimum": 2, "maximum": 100000}


def _deviations(name: str) -> dict[str, Any]:
    return {"name": name, "type": "number", "default": 2.0, "minimum": 0.01, "maximum": 3e37}


_BANDS = [_period("timeperiod", 20), _deviations("nbdevup"), _deviations("nbdevdn"), _MOVING_AVERAGE]

RATIOS = {"236": 0.236, "382": 0.382, "500": 0.5, "618": 0.618, "786": 0.786}
"""Output of FIBONACCI → part of the range below the highest high."""

OWN_CATALOG: dict[str, dict[str, Any]] = {
    "PERCENTB": {
        "title": "Bollinger %B",
        "group": "Overlap Studies",
        "inputs": ["close"],
        "parameters": _BANDS,
        "outputs": ["real"],
        "integers": 0,
    },
    "BANDWIDTH": {
        "title": "Bollinger BandWidth",
        "group": "Volatility Indicators",
        "inputs": ["close"],
        "parameters": _BANDS,
        "outputs": ["real"],
        "integers": 0,
    },
    "ICHIMOKU": {
        "title": "Ichimoku Kinko Hyo",
        "group": "Overlap Studies",
        "inputs": ["high", "low"],
        "parameters": [
            _period("conversionperiod", 9),
            _period("baseperiod", 26),
            _period("spanperiod", 52),
            {"name": "displacement", "type": "integer", "default": 26, "minimum": 1, "maximum": 1000},
        ],
        "outputs": ["conversion", "base", "span_a", "span_b"],
        "integers": 0,
    },
    "FIBONACCI": {
        "title": "Fibonacci Retracement Levels",
        "group": "Overlap Studies",
        "inputs": ["high", "low"],
        "parameters": [_period("timeperiod", 100)],
        "outputs": list(RATIOS),
        "integers": 0,
    },
    "SESSION_VWAP": {
        "title": "Volume Weighted Average Price of the Session",
        "group": "Overlap Studies",
        "inputs": ["high", "low", "close", "volume"],
        "parameters": [],
        "outputs": ["real"],
        "integers": 0,
    },
}
