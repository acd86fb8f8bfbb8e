"""Microsoft's own Functions host as a process, and a stand-in for Application Insights that keeps what it is sent."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from dev import microsoft
from dev.process import free_port

START_S, STOP_S = 120, 20


class Ingestion:
    """Takes telemetry on a port of its own; `rows` are what it was sent, each with its bytes."""

    def __init__(self):
        self.rows = rows = []

        class Track(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if "/track" in self.path:
                    rows.extend(json.loads(line) for line in body.splitlines())
                self._answer(b"{}")

            def do_GET(self):
                self._answer(b"{}")

            def _answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Track)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self._server.server_port}/"
        self.connection_string = (
            f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={url};LiveEndpoint={url}"
        )

    def requests(self, name):
        """Whether each run of a function succeeded."""
        found = [row["data"]["baseData"] for row in self.rows if row["data"]["baseType"] == "RequestData"]
        return [one["success"] for one in found if one["name"] == name]

    def traces(self):
        """Category and text of each line."""
        found = [row["data"]["baseData"] for row in self.rows if row["data"]["baseType"] == "MessageData"]
        return [(one["properties"]["Category"], one["message"]) for one in found]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class FunctionsHost:
    """`func start` in a folder, with these settings."""

    def __init__(self, folder: Path, settings: dict[str, str]):
        (folder / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {}}')
        self.url, self._log = f"http://127.0.0.1:{(port := free_port())}", folder / "host.log"
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        env = {**os.environ, "FUNCTIONS_WORKER_RUNTIME": "python", **settings, "PATH": path}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [microsoft.program("func"), "start", "--port", str(port)],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self):
        deadline = time.monotonic() + START_S
        while True:
            try:
                return httpx.get(self.url, trust_env=False)
            except httpx.TransportError:
                assert self._process.poll() is None, self.console
                assert time.monotonic() < deadline, self.console
                time.sleep(0.5)

    @property
    def console(self):
        return self._log.read_text(errors="replace")

    def stop(self):
        """SIGINT, by which it sends what it has left; SIGKILL for what then remains of it and its worker."""
        for number in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                continue
