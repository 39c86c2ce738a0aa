"""What the redactor knows: invisible characters, shapes of secrets, names that mean secret."""
