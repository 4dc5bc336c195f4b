"""Local clusters: prerequisites, images, the embedded one-node Kubernetes, kind, and the Makefile's verbs.

Everything in this package runs on the system's Python 3.11 with the standard library alone, because it
is what runs first on a fresh machine, before any virtual environment exists.
"""
