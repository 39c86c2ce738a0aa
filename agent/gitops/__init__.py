"""Changes of objects that a repository declares: found in a checkout, edited there, shown as a diff to review."""
