"""A world: the recorded or written state of a cluster and its metrics at one moment."""
