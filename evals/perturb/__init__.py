"""Perturbed epochs: the same question of a world that looks different, with a statement about the right answer."""
