"""Pure reasoning over evidence: no ports, no clock, no I/O."""
