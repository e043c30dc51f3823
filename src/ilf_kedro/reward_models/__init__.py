"""Reward models: how good an output is, asked in words or read from a scalar head."""
