"""WORKAROUNDS for machines that have neither a Docker engine nor an image registry.

Nothing here is part of the product, and nothing here is used where a Docker engine answers: there the tests
run kind as users do, with the upstream node image. Elsewhere these modules make what is missing, out of
Debian packages and Go modules:

- `namespace`: a network namespace with no way out, which the engine and the tests stand in;
- `dockerd`: Debian's dockerd, unpacked but not installed, with folders and a socket of its own;
- `runtime`: the OCI runtime that dockerd calls, which asks for no capability that this machine withholds;
- `kind_program`: kind from its Go module;
- `archive`, `component_images`, `node_image`: a node image by the recipe of kind's own base image.

What such a cluster proves and what it does not prove is told in docs/kind.md.
"""
