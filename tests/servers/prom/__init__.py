"""The Prometheus API of a world, ours and the real one."""
