"""How new a pipeline's data are: read from its producers' own metrics, judged on the pipeline's own clock.

Producers are asked over HTTP through a headless Service: that costs no request to the API server and no
right, and nothing is written while the judgement stays the same.
"""
