"""A thin adapter over the Helm SDK: the pipeline's chart and its releases."""
