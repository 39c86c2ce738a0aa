"""What Plumbline concludes and proposes."""
