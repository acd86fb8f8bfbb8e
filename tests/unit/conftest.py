"""Properties are checked on a fixed set of examples, so that a run says the same as the one before."""

from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
