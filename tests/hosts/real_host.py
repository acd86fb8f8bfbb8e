"""Microsoft's Functions host with this app, and studies that end the process that works on them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from dev import microsoft
from dev.process import ROOT, free_port
from tests.app_folder import write_app

START_TIMEOUT_S = 90
# found by every Python process of the host, those of a study alone included: FATAL says which study ends its process,
# and how, once DICOM was read. The others take a second beside it, so that they are under way at the same time
SITE = """
import asyncio, importlib.util, json, os, signal, sys, time
from datetime import timedelta

FATAL = json.loads(os.environ["FATAL"])


def end(how):
    if how == "exit":
        os._exit(3)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "loop":
        while True:
            pass
    elif how == "memory":
        bytearray(1 << 60)
    elif how == "raise":
        raise KeyError("a name")
    elif how == "slow":
        time.sleep(2)


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "shared.sync.reconciler":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            from shared.sync import writers
            writers.SETTLED_AFTER_S = 3
            look_at = module.look_at

            async def fatal(dicom, change, *rest):
                found = await look_at(dicom, change, *rest)
                how = FATAL.get(change.study.study_instance_uid)
                if not change.alone:
                    await asyncio.sleep(0.5 if how else 1.5)
                end(how)
                return found

            module.look_at = fatal

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""


class RealHost:
    """One `func start`. `queues` and `options` change host.json; a failed message comes again after two seconds."""

    def __init__(self, stack, folder, fatal, queues=None, **options):
        self.folder = folder
        if not folder.exists():
            write_app(folder, SITE)
            content = json.loads((ROOT / "host.json").read_text()) | options
            content["extensions"]["queues"] |= {"visibilityTimeout": "00:00:02"} | (queues or {})
            (folder / "host.json").write_text(json.dumps(content))
            (folder / "local.settings.json").write_text(
                json.dumps({"IsEncrypted": False, "Values": {"FUNCTIONS_WORKER_RUNTIME": "python"}})
            )
        self.port = free_port()
        env = os.environ | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "FATAL": json.dumps(fatal),
            "AzureWebJobsStorage": stack.azurite["connection_string"],
            "AzureFunctionsWebHost__hostid": stack.name,
            "DicomWeb__Endpoint": stack.dicom,
            "Fhir__Endpoint": stack.fhir,
            "TableStore__TableNamePrefix": stack.name,
            "STUDY_QUEUE_NAME": stack.name,
            "SYNC_SCHEDULE": "*/1 * * * * *",
            "FUNCTIONS_WORKER_RUNTIME": "python",
        }
        if "functionTimeout" in options:
            env["AzureFunctionsJobHost__functionTimeout"] = options["functionTimeout"]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [microsoft.program("func"), "start", "--port", str(self.port)],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log[-2000:]
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/api/health", trust_env=False, timeout=30).status_code < 600:
                    return self
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError(self.log[-2000:])

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        """The host and all it started in its session; a study's own process has another."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
