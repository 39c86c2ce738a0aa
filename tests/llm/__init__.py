"""The model: endpoint, wire, capabilities."""
