"""Benchmarks: every figure is a ratio against a floor taken in the same run. `python -m evals.bench`."""
