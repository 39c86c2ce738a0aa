"""Prompts: Markdown with strict substitution, loaded by name, hashed into every run record."""
