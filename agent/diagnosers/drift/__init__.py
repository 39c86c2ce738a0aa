"""Causes of drift (D01–D17)."""
