"""Tests of the world servers."""
