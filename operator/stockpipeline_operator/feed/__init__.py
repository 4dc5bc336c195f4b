"""What feeds a pipeline: how new its data are, how its sources do, how many ticks come.

Read from its producers' own metrics, and judged on the pipeline's own clock. Producers are asked over HTTP
through a headless Service: that costs no request to the API server and no right, and nothing is written while
the judgement stays the same.
"""
