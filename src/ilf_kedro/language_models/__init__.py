"""The protocol of four questions, its backends, and the completion cache."""
