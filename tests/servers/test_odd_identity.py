"""Odd answers and addresses at the rims of identity and Key Vault: an error with a name comes out, or a value."""

import asyncio
import json

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from dev.vault.certificate import write_certificates
from shared.credentials.grant import grant_token
from shared.credentials.identity import identity_token
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.settings.authentication import ManagedIdentityCredential, OAuth2ClientCredential
from shared.settings.vault import vault_settings
from shared.telemetry import quiet_libraries
from tests.identity_stack import OTHER_WAYS
from tests.odd_server import answers, odd_server

SECRET = "ZZSECRET"
TOKENS = {
    name: json.dumps({"token_type": "Bearer", "resource": "r", **body})
    for name, body in {
        "no token": {},
        "a token of another kind": {"access_token": {SECRET: 1}, "expires_in": 60, "expires_on": "60"},
        "a list": {"access_token": [SECRET], "expires_in": 60},
        "no life": {"access_token": SECRET},
        "null": {"access_token": SECRET, "expires_in": None, "expires_on": None},
        "a word": {"access_token": SECRET, "expires_in": "soon", "expires_on": "soon"},
        "a date": {"access_token": SECRET, "expires_on": "13/45/9999 25:61:61 +00:00"},
        "negative": {"access_token": SECRET, "expires_in": -1, "expires_on": "-1"},
        "digits": {"access_token": SECRET, "expires_in": int("9" * 401), "expires_on": "9" * 401},
        "an object": {"access_token": SECRET, "expires_in": {}, "expires_on": []},
        "an error": {"error": {"x": [SECRET]}},
    }.items()
} | {
    "for ever": '{"access_token": "ZZSECRET", "token_type": "Bearer", "expires_in": 1e999, "expires_on": 1e999}',
    "no number": '{"access_token": "ZZSECRET", "token_type": "Bearer", "expires_in": NaN, "expires_on": NaN}',
    "deep": '{"access_token": "ZZSECRET", "expires_in": 60, "x": ' + "[" * 5000 + "]" * 5000 + "}",
}
SECRETS = {
    name: json.dumps(body)
    for name, body in {
        "no list": {"value": 3},
        "a list of odd things": {"value": [3, None, "x"]},
        "without id": {"value": [{}]},
        "an id that is none": {"value": [{"id": 3}]},
        "an id of another host": {"value": [{"id": "https://x", "attributes": {"enabled": True}}]},
        "an odd id": {"value": [{"id": "https://[::1/secrets/Fhir--Endpoint", "attributes": {"enabled": True}}]},
        "odd attributes": {"value": [{"id": "https://h/secrets/Fhir--Endpoint", "attributes": 3}]},
        "odd dates": {"value": [{"id": "https://h/secrets/Fhir--A", "attributes": {"enabled": True, "exp": "x"}}]},
        "far dates": {"value": [{"id": "https://h/secrets/Fhir--A", "attributes": {"enabled": True, "exp": 1e300}}]},
        "a setting": {"value": [{"id": "https://h/secrets/Fhir--Endpoint", "attributes": {"enabled": True}}]},
        "a next page that is none": {"value": [], "nextLink": {"x": 1}},
        "a next page on no host": {"value": [], "nextLink": "https://[::1/x"},
    }.items()
}
CHALLENGES = {
    "a challenge without a scheme": "x",
    "a challenge without an authority": "Bearer x=y",
    "a challenge of nobody": 'Bearer authorization="x", resource="y"',
    "a challenge of another domain": 'Bearer authorization="https://login.example.org/t", resource="https://x.org"',
    "an odd challenge": 'Bearer authorization="https://[::1", resource="https://[::1"',
    "claims that are none": 'Bearer authorization="https://127.0.0.1/t", error="insufficient_claims", claims="***"',
}


def _http(body, status="200 OK", headers=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def odd_answers(bodies):
    """Those for everybody, and these."""
    yield from answers()
    yield from ((name, _http(body)) for name, body in bodies.items())
    yield from (
        (name, _http("{}", "401 Unauthorized", f"WWW-Authenticate: {one}\r\n")) for name, one in CHALLENGES.items()
    )


async def unnamed(odd, call, bodies):
    """What came out that has no name, or tells a secret; and how many were errors with a name."""
    found, named = [], 0
    for name, answer in odd_answers(bodies):
        odd.answer = answer
        http_challenge_cache.clear()
        try:
            await call()
        except SyncError as error:
            named += 1
            if SECRET in str(error) or "127.0.0.1" in str(error):
                found.append((name, str(error)))
        except Exception as error:  # noqa: BLE001 - they are what is looked for
            found.append((name, repr(error)))
    return found, named


@pytest.fixture(autouse=True)
def quiet():
    quiet_libraries()


async def test_identity_gives_a_token_or_an_error_with_a_name(monkeypatch):
    for name in OTHER_WAYS:
        monkeypatch.delenv(name, raising=False)
    async with odd_server() as odd:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{odd.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        settings = ManagedIdentityCredential(resource="https://dicom.example.org")
        found, named = await unnamed(odd, lambda: identity_token("the DICOM service", settings), TOKENS)
    assert found == []
    assert named > 100


async def test_a_grant_gives_a_token_or_an_error_with_a_name():
    async with odd_server() as odd:
        settings = OAuth2ClientCredential(token_uri=odd.url, resource="r", scope="", client_id="c", client_secret="s")
        found, named = await unnamed(odd, lambda: grant_token("the FHIR server", settings), TOKENS)
    assert found == []
    assert named > 100


@pytest.fixture
async def odd_vault(monkeypatch, tmp_path, identity):  # noqa: ARG001 - the app proves who it is there
    """An HTTPS server that answers anything, before which the app proves who it is."""
    trusted, served = write_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    async with odd_server(served) as odd:
        yield odd


async def test_a_vault_gives_settings_or_an_error_with_a_name(odd_vault):
    def read():
        return asyncio.to_thread(vault_settings, odd_vault.url)

    found, named = await unnamed(odd_vault, read, SECRETS)
    assert found == []
    assert named > 100


async def test_a_list_of_secrets_that_does_not_end_is_an_outage(odd_vault, monkeypatch):
    monkeypatch.setattr("shared.settings.vault.MOST_PAGES", 20)
    odd_vault.answer = _http(json.dumps({"value": [], "nextLink": f"{odd_vault.url}/secrets?page=2"}))
    with pytest.raises(Unavailable, match="does not end"):
        await asyncio.to_thread(vault_settings, odd_vault.url)


@pytest.mark.parametrize("wait", ["Retry-After: 86400", "x-ms-retry-after-ms: 86400000"])
async def test_a_vault_that_asks_for_a_day_is_not_waited_for(odd_vault, wait):
    odd_vault.answer = _http("{}", "429 Too Many Requests", f"{wait}\r\n")
    with pytest.raises(Unavailable) as raised:
        await asyncio.wait_for(asyncio.to_thread(vault_settings, odd_vault.url), 60)
    assert raised.value.retry_after_s == 900


@pytest.mark.parametrize(
    "address",
    [
        "https://",
        "https://*.vault.azure.net",
        "https://kv..vault.azure.net",
        "https://-.vault.azure.net",
        "https://" + "k" * 300 + ".vault.azure.net",
        "https://kv.vault.azure.net:99999",
        "https://kv.vault.azure.net:0",
        "https://[::1",
        "https://[::1]:1",
        "https://\ud800.vault.azure.net",
        "https://kv\u2100.example.org",
        "https://127.0.0.1:1",
        "http://127.0.0.1:1",
        "http://kv.vault.azure.net",
        "https://kv.vault.azure.net/%zz",
        "ftp://kv.vault.azure.net",
        "kv",
    ],
)
@pytest.mark.usefixtures("identity")
async def test_an_address_that_is_no_vault_s_has_a_name(address):
    with pytest.raises((Misconfigured, Unavailable)) as raised:
        await asyncio.to_thread(vault_settings, address)
    assert "KeyVault__Endpoint" in str(raised.value)
