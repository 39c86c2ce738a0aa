"""The language model reasoner: any OpenAI-compatible endpoint, grounded, budgeted, and harmless when hostile."""
