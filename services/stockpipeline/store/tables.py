"""What is known of a master's tables beside their columns, which the migrations make."""

from collections.abc import Mapping

KEYS: Mapping[str, tuple[str, ...]] = {
    "bars": ("session", "symbol"),
    "actions": ("session", "symbol"),
    "indicators": ("session", "symbol", "name"),
    "watchlist": ("session", "symbol", "rule"),
    "quality": ("session", "symbol", "problem"),
    "runs": ("session", "measure"),
}
"""Tables of the batch, and what identifies a row of each; rows are stored in this order."""

AGES: Mapping[str, str] = {
    "bars": "session",
    "indicators": "session",
    "signals": "ts",
    "performance": "recorded_at",
}
"""Tables that grow with time, and what the age of a row counts from."""
