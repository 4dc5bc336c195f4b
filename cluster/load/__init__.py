"""`make load`: ticks, readers and kills for a chosen time on the running cluster, and a report with pictures.

`run` is the way through it, in this order: `choice` (what is asked for), `resource` (a pipeline that plays
just that), `readers` and `faults` (what happens to it meanwhile), `figures` (what the cluster's Prometheus
saw), `counted` (what was lost or doubled), `report` and `plot`.
"""
