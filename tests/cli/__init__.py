"""The command line, end to end: real argument parsing, real HTTP to served worlds, real exit codes."""
