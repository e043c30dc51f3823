"""Imitation learning from language feedback, as a Kedro project."""

__version__ = "0.1.0"
