"""Every scenario, asked and graded; and the ways in which answers must not depend on names or runs."""
