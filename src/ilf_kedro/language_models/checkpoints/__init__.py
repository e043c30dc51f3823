"""Model weights on disk: where they are, and how they were made."""
