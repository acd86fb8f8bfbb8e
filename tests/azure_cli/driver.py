"""Run by the interpreter of the Azure CLI: what its own parser makes of commands, and what a deployment would send.

Reads `[mode, commands]` as JSON from standard input, each command a list of arguments without `az`, and prints one
answer for each as JSON. Nothing is asked of Azure.
"""

import contextlib
import io
import json
import os
import sys
from types import SimpleNamespace
from unittest import mock

from azure.cli.command_modules.appservice import custom
from azure.cli.core import get_default_cli
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS

PLAN = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/serverfarms/p"


class Parsed(BaseException):
    """The parser took the command; it is not carried out."""


def _stop(_cli, **_arguments):
    raise Parsed


def parse(arguments):
    """What the parser complains of, empty where it takes the command."""
    cli, said = get_default_cli(), io.StringIO()
    cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, _stop)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            cli.invoke(arguments, out_file=io.StringIO())
    except Parsed:
        return ""
    except SystemExit as ended:
        return "" if ended.code == 0 else said.getvalue() or "refused"  # 0 after help
    return "neither parsed nor refused"


def deploy(arguments):
    """The URLs that a deployment of a package to a Python app on Flex Consumption posts to."""
    posted = []

    def post(url, **_options):
        posted.append(url)
        return SimpleNamespace(status_code=202, content=b"id", text="")

    app = SimpleNamespace(reserved=True, server_farm_id=PLAN)
    client = SimpleNamespace(
        web_apps=SimpleNamespace(get=lambda *_: app), app_service_plans=SimpleNamespace(get=lambda *_: app)
    )
    answers = {
        "check_language_runtime": None,
        "web_client_factory": client,
        "get_site_server_farm_id": PLAN,
        "is_plan_consumption": False,
        "is_flex_functionapp": True,
        "_get_scm_url": "https://app.scm.example",
        "get_runtime_config": {"name": "python"},
        "get_scm_site_headers_flex": {},
        "_check_zip_deployment_status_flex": {},
        "check_flex_app_after_deployment": "",
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(custom, name, return_value=answer))
        stack.enter_context(mock.patch("requests.post", post))
        said = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        status = get_default_cli().invoke(arguments, out_file=io.StringIO())
    return posted if status == 0 else [said.getvalue()]


MODES = {"parse": parse, "deploy": deploy}

if __name__ == "__main__":
    mode, commands = json.load(sys.stdin)
    answers = [MODES[mode](arguments) for arguments in commands]
    json.dump(answers, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # the CLI starts threads of its own, which may wait for the network
