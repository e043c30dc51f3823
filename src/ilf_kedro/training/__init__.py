"""Fitting language models: finetuning and reward models."""
