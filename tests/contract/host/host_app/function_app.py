# ruff: noqa: ARG001 - a function takes what its trigger gives
"""An app that writes down what its host does: one JSON line for each step of each function."""

import asyncio
import json
import logging
import os
import time
from pathlib import Path

import azure.functions as func

STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp()
running = 0


def record(function, step="start", **more):
    line = json.dumps({"function": function, "step": step, "at": time.time(), "pid": os.getpid(), **more})
    with Path(os.environ["RECORDS"]).open("a") as file:
        file.write(line + "\n")


async def do(function, message):
    """What the message asks for: `sleep_s`, then `exit` of the process with this status, or `fail`."""
    order = json.loads(message.get_body())
    seen = {"name": order["name"], "attempt": message.dequeue_count, "id": message.id}
    seen["hidden_s"] = (message.time_next_visible.timestamp() - time.time()) if message.time_next_visible else None
    global running  # noqa: PLW0603 - the app has one event loop
    running += 1
    record(function, running=running, **seen)
    try:
        await asyncio.sleep(order.get("sleep_s", 0))
    except asyncio.CancelledError:
        record(function, "cancelled", **seen)
        raise
    finally:
        running -= 1
    if "exit" in order:
        os._exit(order["exit"])
    if order.get("fail"):
        raise ValueError("as it was asked to")
    record(function, "end", **seen)


@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-work", connection=STORAGE)
async def work(message: func.QueueMessage) -> None:
    await do("work", message)


@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-work-poison", connection=STORAGE)
async def poison(message: func.QueueMessage) -> None:
    await do("poison", message)


@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-many", connection=STORAGE)
async def many(message: func.QueueMessage) -> None:
    await do("many", message)


@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-Thread", connection=STORAGE)
def thread(message: func.QueueMessage) -> None:
    record("thread", body=message.get_body().hex())
    time.sleep(1)
    record("thread", "end")


@app.timer_trigger(arg_name="timer", schedule="%TICK%")
async def tick(timer: func.TimerRequest) -> None:
    record("tick", past_due=timer.past_due, host=os.environ["HOST_NAME"])


@app.timer_trigger(arg_name="timer", schedule="%TICK%")
async def slow_tick(timer: func.TimerRequest) -> None:
    record("slow_tick", past_due=timer.past_due)
    await asyncio.sleep(2.5)
    record("slow_tick", "end")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def yearly(timer: func.TimerRequest) -> None:
    record("yearly", past_due=timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="%TICK%")
async def switched_off(timer: func.TimerRequest) -> None:
    record("switched_off")


# bindings that are wrong, each in its own way


@app.timer_trigger(arg_name="timer", schedule="soon")
async def bad_schedule(timer: func.TimerRequest) -> None:
    record("bad_schedule")


@app.timer_trigger(arg_name="timer", schedule="%NO_SUCH_SETTING%")
async def unset_schedule(timer: func.TimerRequest) -> None:
    record("unset_schedule")


@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-nowhere", connection="NoSuchStorage")
async def no_storage(message: func.QueueMessage) -> None:
    record("no_storage")


@app.queue_trigger(arg_name="message", queue_name="not_a_queue", connection=STORAGE)
async def bad_queue(message: func.QueueMessage) -> None:
    record("bad_queue")


@app.route(route="administration", auth_level="anonymous")
def reserved_route(req: func.HttpRequest) -> str:
    return "never"


# HTTP


@app.route(route="open", methods=["GET"], auth_level="anonymous")
async def open_to_all(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"pid": os.getpid()}), mimetype="application/json")


@app.route(route="items/{id:int}", methods=["POST"], auth_level="function")
def guarded(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    told = {"id": req.route_params["id"], "q": req.params.get("q"), "body": req.get_json()}
    return func.HttpResponse(json.dumps(told), status_code=201, headers={"x-function": context.function_name})


@app.route(auth_level="anonymous")
def broken(req: func.HttpRequest) -> str:
    raise RuntimeError("text of the error")


@app.route(auth_level="anonymous")
def nothing(req: func.HttpRequest):
    return None


@app.route(auth_level="anonymous")
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(float(req.params["s"]))
    return "done"


@app.route(auth_level="anonymous")
async def block(req: func.HttpRequest) -> str:
    record("block")
    time.sleep(float(req.params["s"]))
    record("block", "end")
    return "done"


def say(about):
    logging.getLogger("part").debug("%s debug", about)
    logging.getLogger("part").info("%s info", about)
    logging.getLogger("azure.part").info("%s info of an SDK", about)
    logging.getLogger("part").warning("%s warning", about)


@app.route(auth_level="anonymous")
async def lines(req: func.HttpRequest) -> str:
    say("lines")
    return "said"


@app.route(auth_level="anonymous")
async def quiet_lines(req: func.HttpRequest) -> str:
    say("quiet")
    return "said"
