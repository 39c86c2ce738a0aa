"""The change engine: previews, applies, verifies and undoes, on worlds over real HTTP."""
