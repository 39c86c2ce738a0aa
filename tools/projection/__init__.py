"""What is kept of a raw object: everything a diagnoser needs, nothing that must not be shown."""
