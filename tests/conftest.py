"""Hypothesis draws the same examples in every run: what is red here is red on every machine."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("fixed")
