"""The image: built by the Dockerfile, looked at, and run for real."""
