"""Which apps the host takes, and what it says of those it does not."""

import sys

import pytest

from dev.host.errors import StartError
from dev.host.index import index
from dev.host.options import read_options

APP = """
import azure.functions as func

app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="%TICK%")
def tick(timer: func.TimerRequest) -> None:
    pass

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-poison", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage, context: func.Context) -> None:
    pass
"""


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Write an app and index it, as if in a fresh process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "function_app", None)
    del sys.modules["function_app"]
    monkeypatch.setenv("TICK", "0 * * * * *")
    monkeypatch.setenv("QUEUE", "changes")

    def indexed(code):
        (tmp_path / "function_app.py").write_text(code)
        return index(tmp_path)

    return indexed


def test_triggers_are_read_with_their_settings_filled_in(app):
    tick, work = app(APP)
    assert (tick.name, tick.kind, tick.argument, tick.is_async) == ("tick", "timer", "timer", False)
    assert tick.trigger["schedule"] == "0 * * * * *"
    assert (work.name, work.kind, work.is_async, work.takes_context) == ("work", "queue", True, True)
    assert work.trigger["queueName"] == "changes-poison"


def test_disabled_function_is_left_out(app, monkeypatch):
    monkeypatch.setenv("AzureWebJobs.tick.Disabled", "true")
    assert [function.name for function in app(APP)] == ["work"]


def test_unresolved_setting_is_an_error_of_its_function_only(app, monkeypatch):
    monkeypatch.delenv("TICK")
    tick, work = app(APP)
    assert tick.error == "'%TICK%' does not resolve to a value: the app setting TICK is not set"
    assert work.error == ""


def test_import_failure_is_told(app):
    with pytest.raises(StartError, match="cannot be imported: ModuleNotFoundError: No module named 'nothing_of"):
        app("import nothing_of_this_name")


def test_app_object_must_be_there(app):
    with pytest.raises(StartError, match="exactly one FunctionApp at top level, not 0"):
        app("")


def test_binding_that_is_not_known_is_named(app):
    with pytest.raises(StartError, match="function blobs has blobTrigger"):
        app(APP + "@app.blob_trigger(arg_name='b', path='x/y', connection='C')\ndef blobs(b):\n    pass\n")


def test_parameter_that_the_trigger_does_not_give_is_named(app):
    with pytest.raises(StartError, match="function misnamed takes request, but its trigger gives it req"):
        app(APP + "@app.route(route='x')\ndef misnamed(request):\n    return ''\n")


def test_folder_without_host_json_is_no_app(tmp_path):
    with pytest.raises(StartError, match=r"holds no host\.json"):
        read_options(tmp_path)
