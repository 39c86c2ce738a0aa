"""How answers and evidence are drawn."""
