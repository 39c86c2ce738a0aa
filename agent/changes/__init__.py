"""Proposed changes: what may become a draft, and who keeps it. Nothing here can reach a cluster."""
