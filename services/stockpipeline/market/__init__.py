"""Market data in its own words: ticks, daily bars and the exchange's sessions.

A *session* is one trading day of one exchange. Throughout the core it is an ``int``: the days from
1970-01-01 to the session's local date (``market.sessions`` converts), because it is compared on every tick.
"""
