"""Attacks by text: payloads × carriers × styles, planted into worlds, for the renderer, the checker and full runs."""
