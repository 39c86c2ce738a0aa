"""Telemetry against a collector on loopback: what is sent, what is not, and that nothing of it can hurt a run."""
