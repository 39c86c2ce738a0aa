"""Text attacks against what a model is shown, and against what becomes of what it says."""
