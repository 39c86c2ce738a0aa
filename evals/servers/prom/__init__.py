"""The Prometheus HTTP API over a world: our own evaluation, or a real Prometheus loaded with the same samples."""
