"""Other people's cases."""
