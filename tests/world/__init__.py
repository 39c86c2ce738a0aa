"""Worlds: how they are written, composed, anchored, and what their series show."""
