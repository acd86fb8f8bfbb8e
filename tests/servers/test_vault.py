"""The Key Vault stand-in, read by the real SDK as in production: by a name of vault.azure.net, every check on."""

import ssl
from urllib.parse import urlsplit

import httpx
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import http_challenge_cache
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient
from pydantic_settings import AzureKeyVaultSettingsSource, BaseSettings

from dev.process import running
from tests.identity_stack import VAULT_AUDIENCE

NAMES = [f"Fhir--Name{number:03}" for number in range(60)]


@pytest.fixture(autouse=True)
def forget_challenges():
    """The SDK remembers them for the process."""
    http_challenge_cache.clear()


@pytest.fixture
def client(vault):
    with ManagedIdentityCredential() as credential, SecretClient(vault.url, credential, retry_total=0) as client:
        yield client


def names(client):
    return [one.name for one in client.list_properties_of_secrets()]


def test_list_and_get(identity, vault, client):
    vault.put({name: f"value of {name}" for name in NAMES})
    assert names(client) == NAMES
    assert client.get_secret(NAMES[7]).value == f"value of {NAMES[7]}"
    assert client.get_secret(NAMES[7].lower()).name == NAMES[7]
    assert identity.issued() == {("managed_identity", identity.system_assigned, VAULT_AUDIENCE): 1}
    # three pages and two secrets behind one challenge
    counts = {"lists": 1, "gets": {NAMES[7]: 2}, "passed": 5, "refused": {"missing": 1}}
    assert vault.stats() == counts


async def test_list_and_get_with_asyncio(identity, vault):
    vault.put(dict.fromkeys(NAMES, "value"))
    async with (
        DefaultAzureCredential() as credential,
        AsyncSecretClient(vault.url, credential, connection_verify=vault.authority_file) as client,
    ):
        assert [one.name async for one in client.list_properties_of_secrets()] == NAMES
        assert (await client.get_secret(NAMES[0])).value == "value"
    assert identity.issued() == {("managed_identity", identity.system_assigned, VAULT_AUDIENCE): 1}


def test_pages_of_any_size(vault, client):
    vault.put(dict.fromkeys(NAMES[:7], "value"))
    vault.change(page_size=3)
    assert names(client) == NAMES[:7]
    pages = client.list_properties_of_secrets(max_page_size=2).by_page()
    assert [len(list(page)) for page in pages] == [2, 2, 2, 1]


def test_the_settings_source_of_pydantic_needs_nothing_special(vault):
    class Settings(BaseSettings):
        fhir: dict[str, str]

    vault.put({"Fhir--Endpoint": "https://fhir", "Other": "x"})
    with ManagedIdentityCredential() as credential:
        source = AzureKeyVaultSettingsSource(Settings, vault.url, credential, case_sensitive=False)
        assert source()["fhir"] == {"endpoint": "https://fhir"}


def test_a_new_value_is_a_new_version(vault, client):
    vault.put({"secret": "old"})
    old = client.get_secret("secret").properties.version
    vault.put({"secret": "new"})
    assert client.get_secret("secret").value == "new"
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.get_secret("secret", old)
    vault.put({"secret": None})
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.get_secret("secret")


def test_disabled_secrets_are_listed_but_not_given(vault, client):
    vault.change(secrets={"on": {"value": "x"}, "off": {"value": "x", "enabled": False}})
    assert {one.name: one.enabled for one in client.list_properties_of_secrets()} == {"on": True, "off": False}
    with pytest.raises(HttpResponseError, match="SecretDisabled") as refused:
        client.get_secret("off")
    assert refused.value.status_code == 403


@pytest.mark.parametrize(
    ("patch", "roles"), [({"access": {"deny": True}}, ["Key Vault Secrets User"]), ({}, ["DICOM Data Reader"])]
)
def test_role_missing(identity, vault, client, patch, roles):
    identity.change(identities={identity.system_assigned: {"roles": roles}})
    vault.change(**patch)
    for read in (names, lambda client: client.get_secret("any")):
        with pytest.raises(HttpResponseError, match="ForbiddenByRbac") as refused:
            read(client)
        assert refused.value.status_code == 403
    assert vault.stats()["refused"] == {"missing": 1, "role": 2}


@pytest.mark.parametrize(
    ("patch", "lifetime_s", "words"),
    [
        ({"access": {"audiences": ["https://another"]}}, 3600, "AKV10022: Invalid audience"),
        ({}, 0, "TokenExpired"),
    ],
)
def test_tokens_that_are_no_good(identity, vault, client, patch, lifetime_s, words):
    identity.change(lifetime_s=lifetime_s)
    vault.change(**patch)
    with pytest.raises(ClientAuthenticationError, match=words):
        names(client)


def test_a_revoked_token_is_replaced_by_the_sdk(identity, vault, client):
    """The vault asks for a newer one, as continuous access evaluation does."""
    vault.put({"secret": "value"})
    client.get_secret("secret")
    assert identity.revoke() == 1
    assert client.get_secret("secret").value == "value"
    assert identity.stats()["total"] == 2


def test_a_challenge_for_somebody_elses_tokens_is_refused_by_the_sdk(identity, vault, client):
    vault.change(challenge_resource="https://attacker.example")
    with pytest.raises(ValueError, match="does not match the requested domain"):
        names(client)
    assert identity.issued() == {}


def test_throttled(identity, vault):
    vault.put({"secret": "value"})
    vault.faults({"status": 429, "times": 1, "retry_after_s": 0.2})
    with ManagedIdentityCredential() as credential:
        with SecretClient(vault.url, credential) as client:
            assert client.get_secret("secret").value == "value"
        vault.faults({"status": 429, "retry_after_s": 7})
        with (
            SecretClient(vault.url, credential, retry_total=0) as client,
            pytest.raises(HttpResponseError, match="Throttled") as refused,
        ):
            client.get_secret("secret")
    assert (refused.value.status_code, refused.value.response.headers["Retry-After"]) == (429, "7")
    assert identity.stats()["total"] == 1


def test_down_and_up_again(vault, client):
    vault.put({"secret": "value"})
    client.get_secret("secret")
    vault.change(down=True)
    for _ in range(2):
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            client.get_secret("secret")
    vault.change(down=False)
    assert client.get_secret("secret").value == "value"


def test_nobody_trusts_it_by_default(client, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        names(client)


def test_the_tunnel_leads_to_the_vault_only(vault):
    trusted = ssl.create_default_context(cafile=vault.authority_file)
    with (
        httpx.Client(proxy=vault.environment["HTTPS_PROXY"], verify=trusted, trust_env=False) as http,
        pytest.raises(httpx.ProxyError, match="403"),
    ):
        http.get("https://another.vault.azure.net/")


def test_what_is_no_request_of_a_client(identity, vault):
    origin = "https://{}".format(urlsplit(vault.announced["admin"]).netloc)
    bearer = {"Authorization": f"Bearer {identity.token(VAULT_AUDIENCE)}"}
    for query in ("", "?api-version=7.6&maxresults=many", "?api-version=7.6&$skiptoken=~"):
        answer = vault.http.get(f"{origin}/secrets{query}", headers=bearer)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        vault.put({"no name": "x"})


def test_sigterm_ends_it_in_the_middle_of_a_request_without_a_word(identity, tmp_path):
    with running("vault", "--port", "0", "--identity", identity["url"], log=tmp_path / "log") as part:
        trusted = ssl.create_default_context(cafile=part.urls["authority_file"])
        with httpx.Client(proxy=part.urls["environment"]["HTTPS_PROXY"], verify=trusted, trust_env=False) as http:
            assert http.get(f"{part.urls['url']}/secrets").status_code == 401
            http.post(f"{part.urls['url']}/_dev/faults", json=[{"kind": "slow", "seconds": 60}])
            with pytest.raises(httpx.TimeoutException):
                http.get(f"{part.urls['url']}/secrets", timeout=0.2)
            part.process.terminate()
            assert part.process.wait(5) == 0
    assert (tmp_path / "log").read_text() == ""
