"""Tests of the repository itself: layers, limits, documentation, packaging."""
