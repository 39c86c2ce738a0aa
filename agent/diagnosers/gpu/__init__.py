"""Causes of GPU under-utilization (U00–U40)."""
