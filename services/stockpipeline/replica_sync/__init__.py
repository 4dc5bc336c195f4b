"""A replica as a service: pulls what is new, verifies what it has, and tells how far behind it is."""
