"""Trades of the Korea Investment & Securities (KIS) Open API.

`frames` and `prices` read what KIS sends (pure); `grants` keeps tokens; `stream` and `rest` talk; `source`
spreads the symbols over application keys, live as far as they reach and by turns beyond.
"""
