"""How a process that works on one message can end, and what is made of it."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from shared.child import BEGIN_LIMIT_S, Child
from shared.model import Outcome, StudyChange, StudyKey
from shared.settings.hosting import Limits
from shared.sync.alone import Died, Done, Failed, NotStarted, Overran
from shared.sync.attempt import Result
from tests.processes import children, wait_until_gone

TEXT = StudyChange(StudyKey("p", "1.2.3"), 1, alone=True).to_json()
STARTS = """
import json, os, signal, sys, time
say = lambda **fields: print(json.dumps(fields), flush=True)
say(set_up=True)
path = json.loads(sys.stdin.readline())
"""
BEGINS = """
say(ready=True)
given = json.loads(sys.stdin.readline())
say(begins=True)
"""
SERVES = """
say(ready=True)
while line := sys.stdin.readline():
    say(begins=True)
    say(outcome='created', failed=os.getpid(), findings=0, code='')
"""


def child_of(code, limit_s=30.0, start_limit_s=30.0):
    return Child(limit_s, start_limit_s, (sys.executable, "-c", STARTS + code))


async def ended(code, limit_s=30.0):
    child = child_of(BEGINS + code, limit_s)
    ending = await child.work(TEXT)
    await child.close()
    return ending


def test_its_waits_fit_into_the_limit_of_the_host():
    limits = Limits.load()
    assert BEGIN_LIMIT_S + limits.start_s + limits.process_s < 600


async def test_a_process_that_is_never_ready_is_given_up():
    code = "say(ready=True)\ngiven = json.loads(sys.stdin.readline())\ntime.sleep(60)"
    ending = await child_of(code, start_limit_s=1.0).work(TEXT)
    assert ending == NotStarted("it was not ready after 1 s")


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("say(outcome='created', failed=1, findings=2, code='')", Done(Result(Outcome.CREATED, 1, 2, ""))),
        ("say(outcome='created', failed=0, findings=0, code=''); os._exit(3)", Done(Result(Outcome.CREATED))),
        ("say(raised='KeyError at a.py:1 f')", Failed("KeyError at a.py:1 f")),
        ("say(memory=True)", Died("a lack of memory", is_certain=False)),
        ("os._exit(3)", Died("exit code 3", is_certain=True)),
        ("pass", Died("exit code 0", is_certain=True)),
        ("os.abort()", Died("SIGABRT", is_certain=True)),
        ("os.kill(os.getpid(), signal.SIGKILL)", Died("SIGKILL", is_certain=False)),
        ("os.kill(os.getpid(), signal.SIGTERM)", Died("SIGTERM", is_certain=False)),
        ("print('{'); print('[]'); print(1); os._exit(4)", Died("exit code 4", is_certain=True)),
    ],
)
async def test_ending(code, ending):
    assert await ended(code) == ending


async def test_it_gets_the_message_and_the_path_of_this_process():
    code = f"assert (given, path) == ({TEXT!r}, {sys.path!r}); say(raised='as it should be')"
    assert await ended(code) == Failed("as it should be")


async def test_one_that_does_not_end_is_ended():
    assert await ended("while True: pass", limit_s=0.5) == Overran(0.5)


async def test_events_are_logged_here_and_nothing_else_is(caplog):
    caplog.set_level(logging.INFO)
    event = "say(event='study_synced', level=30, fields={'study': '1.2.3', 'sequence': None})"
    await ended(f"{event}; print('a name'); print('a name', file=sys.stderr)")
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(30, "study_synced study=1.2.3")]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nowhere/python",), "FileNotFoundError, errno 2"),
        ((sys.executable, "-c", "raise SystemExit(7)"), "it ended before it was ready (exit code 7)"),
        ((sys.executable, "-c", STARTS + "say(refused='settings: m')"), "settings: m"),
    ],
)
async def test_one_that_does_not_begin_says_nothing_about_the_study(command, why):
    assert await Child(30, 30, command).work(TEXT) == NotStarted(why)


async def test_it_ends_with_the_call():
    before = set(children(os.getpid()))
    task = asyncio.create_task(ended("time.sleep(600)", limit_s=600))
    while not (started := set(children(os.getpid())) - before):
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_until_gone(started)


async def test_messages_that_come_to_a_result_share_a_process():
    child = child_of(SERVES)
    first, second = await child.work(TEXT), await child.work(TEXT)
    assert first == second
    await child.close()
    wait_until_gone([first.result.failed])


async def test_one_that_ended_while_it_waited_costs_no_study_anything():
    child = child_of(SERVES)
    first = await child.work(TEXT)
    os.kill(first.result.failed, signal.SIGKILL)
    second = await child.work(TEXT)
    assert isinstance(second, Done)
    assert second != first
    await child.close()


async def test_one_that_waits_in_vain_ends(monkeypatch):
    monkeypatch.setattr("shared.child.KEPT_S", 0.01)
    ending = await child_of(SERVES).work(TEXT)
    await asyncio.sleep(0.1)
    wait_until_gone([ending.result.failed])


async def test_after_many_messages_comes_another_process(monkeypatch):
    monkeypatch.setattr("shared.child.MOST_MESSAGES", 2)
    child = child_of(SERVES)
    pids = [(await child.work(TEXT)).result.failed for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    wait_until_gone(pids)


async def test_one_that_a_study_ended_or_raised_in_is_not_used_again():
    child = child_of("""
say(ready=True)
while line := sys.stdin.readline():
    say(begins=True)
    say(raised=str(os.getpid()))
""")
    first, second = await child.work(TEXT), await child.work(TEXT)
    assert first != second
    wait_until_gone([int(first.text), int(second.text)])


WORKER = """
    import asyncio, sys
    from shared.child import BEGIN_LIMIT_S, Child
    asyncio.run(Child(600, 120).work(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends it")
def test_a_worker_that_is_killed_leaves_no_process_behind():
    """The real one, whose storage does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        places = "".join(f"{kind}Endpoint={url}/a;" for kind in ("Blob", "Queue", "Table"))
        settings = {
            "AzureWebJobsStorage": f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;{places}",
            "DicomWeb__Endpoint": url,
            "Fhir__Endpoint": url,
        }
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), TEXT], env=os.environ | settings, start_new_session=True
        )
        silent.settimeout(60)
        connection, _ = silent.accept()  # it has its message and is at work
        [child] = children(worker.pid)
        assert Path(f"/proc/{child}/oom_score_adj").read_text().strip() == "1000"
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        wait_until_gone([child])
        connection.close()
