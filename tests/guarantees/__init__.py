"""One file per guarantee that is due, named after it."""
