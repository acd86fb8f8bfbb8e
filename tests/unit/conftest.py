"""Properties are checked on a fixed set of examples, so that a run says the same as the one before. Settings
are loaded without those of this machine.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("unit")


@pytest.fixture
def load(monkeypatch):
    """Load a model from these app settings and no others."""

    def load(model, settings):
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return model.load()

    return load
