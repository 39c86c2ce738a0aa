"""Loopback servers that play a world: the Kubernetes API and the Prometheus HTTP API."""
