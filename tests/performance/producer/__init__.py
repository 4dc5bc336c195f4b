"""`make bench-producer`: the producer against a real broker on this machine.

Rows of `build/bench/producer.json`:

- `bare_produce` and `replay_rate` (ticks/s, one core), `ws_decode_rate` (records/s),
- `chain_rate_500` and `chain_rate_4000` (ticks/s through the fallback chain, by symbols),
- `review_cost_500` and `review_cost_4000` (microseconds a symbol of what is done once a second: linear
  in symbols where they are the same),
- `rss_growth_10m` (MiB between the second and the tenth million ticks), `outage_lost` (count).
"""
