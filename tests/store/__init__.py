"""Where proposals are kept: the same rules over SQLite and Postgres."""
