"""The gate, policy, redaction, projection, audit and read tools."""
