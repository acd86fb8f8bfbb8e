"""Nothing follows a redirect: it would take rows, messages and tokens to wherever the answer says."""

import asyncio

import pytest

from dev.vault.certificate import write_certificates
from shared.errors import SyncError
from shared.settings.vault import vault_settings
from tests.odd_server import odd_server
from tests.servers.test_odd_answers import service_calls, storage_calls

STATUSES = [301, 302, 303, 307, 308]


def redirect(status, url):
    return f"HTTP/1.1 {status} x\r\nLocation: {url}/elsewhere\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("made", [storage_calls, service_calls], ids=["storage", "services"])
async def test_clients_follow_no_redirect(monkeypatch, made, status):
    monkeypatch.setattr("shared.retry.REPEATS", 1)
    async with odd_server() as here, odd_server() as elsewhere:
        here.answer = redirect(status, elsewhere.url)
        elsewhere.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        clients, calls = made(here.url)
        try:
            for call in calls.values():
                with pytest.raises(SyncError):
                    await call()
        finally:
            for client in clients:
                await (client.close() if hasattr(client, "close") else client.aclose())
        assert len(elsewhere.open) == 0


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize("status", STATUSES)
async def test_the_vault_client_follows_no_redirect(monkeypatch, tmp_path, status):
    trusted, served = write_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    async with odd_server(served) as here, odd_server(served) as elsewhere:
        here.answer = redirect(status, elsewhere.url)
        elsewhere.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        with pytest.raises(SyncError):
            await asyncio.to_thread(vault_settings, here.url)
        assert len(elsewhere.open) == 0
