"""The read tools: one file each, found by tools/registry.py."""
