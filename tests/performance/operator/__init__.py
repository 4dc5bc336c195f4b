"""The operator with up to 1,000 pipelines, on an embedded cluster of its own: `make bench-operator`.

Every pipeline is suspended: its Helm release is installed whole, with Deployments of zero replicas, and no
topics. So what is measured is the operator and the API server, as in the published figures of Flux, whose
objects have no replicas either.

*Ready* means here: the release is deployed, the operator has seen the newest generation of the resource and
has written a status for it (`Suspended`).
"""
