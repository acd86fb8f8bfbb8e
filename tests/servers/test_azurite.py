"""Azurite as a part: usable by Microsoft's clients, kept or forgotten as asked, never left behind."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from dev.process import running
from tests.processes import children, wait_until_gone

FREE = ("azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0")


def write(connection_string):
    with QueueServiceClient.from_connection_string(connection_string) as queues:
        queues.create_queue("studies").send_message("2.25.1")
    with TableServiceClient.from_connection_string(connection_string) as tables:
        tables.create_table("states").create_entity({"PartitionKey": "p", "RowKey": "r", "sequence": 7})


def read(connection_string):
    with QueueServiceClient.from_connection_string(connection_string) as queues:
        messages = [each.content for each in queues.get_queue_client("studies").peek_messages()]
    with TableServiceClient.from_connection_string(connection_string) as tables:
        entity = tables.get_table_client("states").get_entity("p", "r")
    return messages, entity["sequence"]


def test_ready_line_names_what_clients_need():
    with running(*FREE) as part:
        assert set(part.urls) == {"part", "blob", "queue", "table", "connection_string"}
        write(part.urls["connection_string"])
        assert read(part.urls["connection_string"]) == (["2.25.1"], 7)


def test_kept_folder_survives_a_restart(tmp_path):
    with running(*FREE, "--data", str(tmp_path / "store")) as part:
        write(part.urls["connection_string"])
    with running(*FREE, "--data", str(tmp_path / "store")) as part:
        assert read(part.urls["connection_string"]) == (["2.25.1"], 7)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_node_outlives_its_launcher(number):
    with running(*FREE) as part:
        nodes = children(part.process.pid)
        assert len(nodes) == 1
        os.kill(part.process.pid, number)
        wait_until_gone([part.process.pid, *nodes])


def test_taken_port_is_one_clear_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = [sys.executable, "-m", "dev", *FREE, "--queue-port", str(port)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"azurite: the queue port {port} cannot be used: Address already in use\n"
