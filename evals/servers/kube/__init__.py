"""The Kubernetes API, spoken for a world."""
