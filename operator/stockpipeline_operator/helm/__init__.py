"""The pipeline's chart, rendered by the Helm SDK, and its releases, in Helm's format."""
