"""Changes of declared objects: found, edited in place, and shown as a diff."""
