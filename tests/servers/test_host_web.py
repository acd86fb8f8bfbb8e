"""What only the stand-in has: it says what it is, checks keys, and runs functions when asked by hand."""

import json
import socket
import subprocess
import sys
import time

import httpx
import pytest

from dev.process import running

APP = """
import json, os, time
import azure.functions as func

app = func.FunctionApp()

def record(**fields):
    with open(os.environ["RECORDS"], "a") as file:
        file.write(json.dumps({"at": time.time(), **fields}) + chr(10))

@app.route(route="open", auth_level="anonymous", methods=["GET"])
async def open_to_all(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"open": True}), mimetype="application/json")

@app.route(route="items/{id:int}", methods=["POST"])
def guarded(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    told = {"id": req.route_params["id"], "q": req.params.get("q"), "body": req.get_json()}
    return func.HttpResponse(json.dumps(told), status_code=201, headers={"x-function": context.function_name})

@app.route(route="for-admins", auth_level="admin")
def for_admins(req: func.HttpRequest) -> str:
    return "done"

@app.route(auth_level="anonymous")
def broken(req: func.HttpRequest) -> str:
    raise RuntimeError("secret text")

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    record(name="yearly", step="start")
"""


def write_app(folder, code, host=None):
    (folder / "function_app.py").write_text(code)
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **(host or {})}))
    return folder


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_app(tmp_path_factory.mktemp("app"), APP)
    (folder / "records").touch()
    return folder


@pytest.fixture(scope="module")
def host(folder):
    env = {"RECORDS": str(folder / "records")}
    arguments = ["--app", str(folder), "--port", "0", "--key", "opens", "--master-key", "masters"]
    with running("host", *arguments, env=env, log=folder / "log") as part:
        yield part


@pytest.fixture(scope="module")
def web(host):
    with httpx.Client(base_url=host.urls["url"], trust_env=False) as client:
        yield client


def records(folder, name):
    lines = (folder / "records").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["name"] == name]


def test_it_says_that_it_is_a_stand_in(host, folder):
    assert host.urls["stand_in"] is True
    assert (folder / "log").read_text().startswith("host: this is a stand-in for the Azure Functions host")
    assert host.urls["functions"] == ["open_to_all", "guarded", "for_admins", "broken", "yearly"]


def test_anonymous_route_needs_no_key(web):
    answer = web.get("/api/open")
    assert (answer.status_code, answer.json()) == (200, {"open": True})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("key", [{}, {"x-functions-key": "wrong"}, {"x-functions-key": "ungültig".encode()}])
def test_function_level_refuses_without_its_key(web, key):
    assert web.post("/api/items/5", headers=key, json={}).status_code == 401


@pytest.mark.parametrize("key", ["opens", "masters"])
def test_function_level_takes_function_and_master_key(web, key):
    answer = web.post("/api/items/5", params={"code": key, "q": "x"}, json={"a": 1})
    assert (answer.status_code, answer.json()) == (201, {"id": "5", "q": "x", "body": {"a": 1}})
    assert answer.headers["x-function"] == "guarded"


def test_admin_level_takes_the_master_key_only(web):
    assert web.get("/api/for-admins", headers={"x-functions-key": "opens"}).status_code == 401
    answer = web.get("/api/for-admins", headers={"x-functions-key": "masters"})
    assert (answer.status_code, answer.text) == (200, "done")


def test_each_log_record_is_one_line(web, folder):
    web.get("/api/broken")
    lines = (folder / "log").read_text().splitlines()[1:]
    assert [line for line in lines if " host: " not in line] == []
    assert any("RuntimeError: secret text" in line and "Functions.broken" in line for line in lines)


def test_timer_runs_when_asked_by_hand(web, folder):
    assert web.post("/admin/functions/yearly").status_code == 401
    assert web.post("/admin/functions/yearly", headers={"x-functions-key": "masters"}, json={}).status_code == 202
    until(lambda: records(folder, "yearly"))
    assert web.post("/admin/functions/nobody", headers={"x-functions-key": "masters"}).status_code == 404


def test_taken_port_is_named(tmp_path):
    write_app(tmp_path, APP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dev", "host", "--app", str(tmp_path), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"host: port {port} is taken" in done.stderr.splitlines()[-1]
