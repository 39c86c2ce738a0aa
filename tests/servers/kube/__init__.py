"""The Kubernetes world server against recordings and real clients."""
