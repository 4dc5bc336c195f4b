"""Programs that are handed to `python -c` in a pod of the services' image, so each is one module."""
