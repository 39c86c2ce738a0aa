"""A chat-completions endpoint for scripted models, over real HTTP."""
