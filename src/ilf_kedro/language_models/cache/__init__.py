"""The completion cache: no answer is computed or paid for twice."""
