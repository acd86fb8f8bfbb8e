"""Triggers of the app: parse, call, log the outcome. Nothing is connected to or fetched at import."""

import json

import azure.functions as func

from shared.settings.hosting import Triggers
from shared.worker import WORKER

TRIGGERS = Triggers.load()
STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp()


def _text_of(message: func.QueueMessage) -> str:
    """Whatever bytes somebody sent: what is no text is no message of ours, and has to be recorded too."""
    return message.get_body().decode(errors="replace")


@app.timer_trigger(arg_name="timer", schedule=TRIGGERS.schedule, run_on_startup=False, use_monitor=True)
async def poll_change_feed(timer: func.TimerRequest) -> None:
    """Read the change feed and enqueue what changed."""
    del timer  # a late tick does what an early one does
    await WORKER.poll()


@app.queue_trigger(arg_name="message", queue_name=TRIGGERS.queue_name, connection=STORAGE)
async def sync_study(message: func.QueueMessage) -> None:
    """Make FHIR say what DICOM says of the instances of one study."""
    await WORKER.sync(_text_of(message), message.dequeue_count or 1)


@app.queue_trigger(arg_name="message", queue_name=f"{TRIGGERS.queue_name}-poison", connection=STORAGE)
async def sync_study_poison(message: func.QueueMessage) -> None:
    """Record what the host gave up, or send it once more."""
    await WORKER.record_poison(_text_of(message))


@app.route(trigger_arg_name="request", route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(request: func.HttpRequest) -> func.HttpResponse:
    """200 when settings and services are as they should be, 503 with the problems otherwise."""
    del request
    state = await WORKER.health()
    status = 200 if state["status"] == "healthy" else 503
    return func.HttpResponse(json.dumps(state), status_code=status, mimetype="application/json")
