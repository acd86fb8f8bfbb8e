"""The app of a worker process is built, or an error with a name says why not, well inside the host's limit."""

import threading
from datetime import timedelta

import pytest

from shared.credentials import identity
from shared.errors import Unavailable
from shared.settings import vault
from shared.worker import Worker


@pytest.fixture
def silent_vault(monkeypatch):
    """Settings whose vault does not answer, however long it is waited for."""
    ended = threading.Event()
    monkeypatch.setattr("shared.worker.Settings.load", lambda: ended.wait(20))
    yield
    ended.set()


async def test_a_vault_that_goes_on_answering_for_ever_holds_no_message(silent_vault, monkeypatch):  # noqa: ARG001
    monkeypatch.setattr("shared.worker.READ_LIMIT_S", 0.1)
    with pytest.raises(Unavailable, match="settings"):
        await Worker().app()


@pytest.mark.parametrize("module", [vault, identity])
def test_three_silent_answers_of_vault_or_identity_take_less_than_a_function_may(module):
    options = module.SDK_OPTIONS  # by themselves the libraries wait 300 s for a connection, and as long for each byte
    assert 3 * (options["connection_timeout"] + options["read_timeout"]) < timedelta(minutes=5).total_seconds()
