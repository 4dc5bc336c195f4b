"""One of several operator processes works: elected by a Lease, and fenced when it cannot renew it."""
