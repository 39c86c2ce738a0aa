"""Answers as a small document that every surface draws its own way."""
