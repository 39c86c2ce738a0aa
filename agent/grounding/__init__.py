"""What a model said, compared with the evidence it cites: statements become claims, or lose what nothing bears."""
