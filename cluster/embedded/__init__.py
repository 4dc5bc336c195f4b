"""A real one-node Kubernetes without Docker and without an image registry.

Every program of it is the real one, built from Go modules or taken from Debian; the node lives in a network
namespace of its own. `node.EmbeddedNode` is the way in.
"""
