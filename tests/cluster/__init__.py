"""Checks that hold on any cluster: a real one or a world."""
