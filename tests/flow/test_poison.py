"""The poison queue: what fails there five times is seen by nobody for a week, so nothing fails there."""

import logging

import pytest

from shared.worker import Worker
from tests.builders import make_instance

DOWN = {"status": 503}


@pytest.fixture
async def without_tables(between):
    """An app whose tables answer 503, and the stack that it belongs to."""
    found = await between("table")
    found["table"].use([DOWN])
    return found.stack


async def test_a_message_that_is_none_is_done_with_while_tables_are_down(without_tables, caplog):
    with caplog.at_level(logging.ERROR):
        await without_tables.app.runner.record_poison("hello")
    said = [record.getMessage() for record in caplog.records]
    assert any("malformed-message" in line and "digest" in line for line in said)
    assert any("record_not_written" in line for line in said)
    assert not any("hello" in line for line in said)


async def test_a_message_is_sent_again_while_tables_are_down(between):
    found = await between("table")
    await found.stack.store(make_instance())
    await found.stack.poll()
    (text,) = await found.stack.messages()
    found["table"].use([DOWN])
    await found.stack.app.runner.record_poison(text)
    assert await found.stack.app.queue.depth() == 1


@pytest.mark.parametrize("error", [ValueError("ZZ"), RuntimeError("ZZ"), KeyError("ZZ")], ids=repr)
async def test_a_message_is_sent_again_whatever_keeps_the_app_from_starting(stack, monkeypatch, caplog, error):
    await stack.store(make_instance())
    await stack.poll()
    (text,) = await stack.messages()

    def fail(*_):
        raise error

    monkeypatch.setattr("shared.worker._read_settings", fail)
    await Worker().record_poison(text)
    await Worker().record_poison("hello")
    assert await stack.app.queue.depth() == 1
    assert "ZZ" not in caplog.text
