"""Recorded worlds, the servers that serve them, and the scenarios that judge us on them."""
