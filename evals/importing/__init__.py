"""Other people's cases as worlds: dumps and texts of kubectl, logs, and metrics in CSV or OpenMetrics."""
