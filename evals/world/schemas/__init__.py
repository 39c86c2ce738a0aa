"""Minimal structural schemas of the kinds whose fields changes touch: types, bounds, enums and what is immutable."""
