"""The installed command. The only place that wires worlds to surfaces."""
