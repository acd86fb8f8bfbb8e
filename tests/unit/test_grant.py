"""What is made of the answers of a token endpoint."""

import json
import time

import httpx
import pytest

from shared.credentials import grant
from shared.credentials.grant import grant_token
from shared.errors import Unavailable
from shared.settings.authentication import OAuth2ClientCredential

SETTINGS = OAuth2ClientCredential(
    token_uri="https://login.example.org/token", resource="r", scope="", client_id="c", client_secret="s"
)


async def granted(monkeypatch, body):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    monkeypatch.setattr(grant, "new_client", lambda *_: httpx.AsyncClient(transport=transport))
    return await grant_token("the FHIR server", SETTINGS)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        "null",
        '{"access_token": "", "token_type": "Bearer"}',
        '{"access_token": "ZZ\\nSECRET", "token_type": "Bearer"}',
        '{"access_token": "ZZ\\ud800", "token_type": "Bearer"}',
        '{"access_token": {"ZZ": 1}, "token_type": "Bearer"}',
        '{"access_token": "ZZ", "token_type": "Bearer", "expires_in": 1e400}',
        '{"access_token": "ZZ", "token_type": "Bearer", "expires_in": -1e400}',
        '{"access_token": "ZZ", "token_type": "Bearer", "expires_in": NaN}',
        '{"access_token": "ZZ", "token_type": "Bearer", "expires_in": ' + "9" * 400 + "}",
    ],
    ids=lambda body: body[:60],
)
async def test_what_is_no_token_is_an_outage_and_is_not_told(monkeypatch, body):
    with pytest.raises(Unavailable, match="without a token") as raised:
        await granted(monkeypatch, body)
    assert "ZZ" not in str(raised.value)


async def test_a_token(monkeypatch):
    token = await granted(monkeypatch, json.dumps({"access_token": "a.b-c~", "token_type": "Bearer", "expires_in": 60}))
    assert token.text == "a.b-c~"
    assert 0 < token.ends_at - time.time() <= 60
