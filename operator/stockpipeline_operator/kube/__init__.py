"""A thin client of the Kubernetes API.

The official client costs more memory than all the rest of the operator together, so requests are made here
with plain JSON objects; kopf brings its own for watching.
"""
