"""Recording a cluster into a world."""
