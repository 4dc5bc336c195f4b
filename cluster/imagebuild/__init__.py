"""The container images of the project, built without Docker and without an image registry."""
