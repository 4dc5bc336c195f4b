"""What can be seen of StockPipeline: the contract of its metrics, the dashboards, the alerts.

Development only: `python -m observability.generate` writes docs/metrics.md, the dashboards' JSON and the rule
files, which are committed. Nothing of it runs beside a pipeline.

    contract      what the components export, read from the code that declares it
    promql        which metrics and labels a query uses, and what of that nobody exports
    exported      all series that a query may read
    shown         which dashboards and alerts read a metric
    dashboards/   one module for each dashboard
    alerts/       recording rules, service levels, causes
    generate      all generated files
"""
