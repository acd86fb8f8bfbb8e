"""The identity stand-in, asked by the SDKs that the app uses and by an OAuth2 client nobody here wrote."""

import time

import azure.identity
import azure.identity.aio
import httpx
import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from msal.oauth2cli.oauth2 import Client

from dev.process import running
from tests.identity_stack import DICOM_AUDIENCE

SCOPE = f"{DICOM_AUDIENCE}/.default"
ASYNC_CREDENTIALS = (azure.identity.aio.ManagedIdentityCredential, azure.identity.aio.DefaultAzureCredential)


def claims_of(identity, token):
    """Checked as a service would: by the published key."""
    (key,) = identity.http.get(f"{identity['authority']}/discovery/v2.0/keys").json()["keys"]
    public = jwt.PyJWK(key)
    assert jwt.get_unverified_header(token)["kid"] == public.key_id
    return jwt.decode(token, public, ["RS256"], audience=DICOM_AUDIENCE, issuer=identity["authority"])


def ask(identity, *, path="/oauth2/token", auth=None, **fields):
    form = {
        "grant_type": "client_credentials",
        "client_id": identity["client_id"],
        "client_secret": identity["client_secret"],
        **({"scope": SCOPE} if "v2.0" in path else {"resource": DICOM_AUDIENCE}),
        **fields,
    }
    form = {name: value for name, value in form.items() if value is not None}
    return identity.http.post(identity["authority"] + path, data=form, auth=auth)


# managed identity


@pytest.mark.parametrize("credential", ASYNC_CREDENTIALS)
async def test_managed_identity(identity, credential):
    async with credential() as chosen:
        token = await chosen.get_token(SCOPE)
        assert (await chosen.get_token(SCOPE)).token == token.token
    claims = claims_of(identity, token.token)
    assert claims["appid"] == identity.system_assigned
    assert claims["roles"] == ["DICOM Data Reader", "FHIR Data Writer", "Key Vault Secrets User"]
    assert claims["exp"] == token.expires_on
    assert token.expires_on - time.time() == pytest.approx(3600, abs=5)
    assert identity.issued() == {("managed_identity", identity.system_assigned, DICOM_AUDIENCE): 1}


@pytest.mark.parametrize(
    "credential", [azure.identity.ManagedIdentityCredential, azure.identity.DefaultAzureCredential]
)
def test_managed_identity_without_asyncio(identity, credential):
    with credential() as chosen:
        token = chosen.get_token(SCOPE)
    assert claims_of(identity, token.token)["appid"] == identity.system_assigned
    assert token.expires_on - time.time() == pytest.approx(3600, abs=5)


async def test_user_assigned_identity(identity, monkeypatch):
    async with azure.identity.aio.ManagedIdentityCredential(client_id=identity.user_assigned) as chosen:
        assert claims_of(identity, (await chosen.get_token(SCOPE)).token)["appid"] == identity.user_assigned
    monkeypatch.setenv("AZURE_CLIENT_ID", identity.user_assigned)
    async with azure.identity.aio.DefaultAzureCredential() as chosen:
        assert claims_of(identity, (await chosen.get_token(SCOPE)).token)["appid"] == identity.user_assigned


@pytest.mark.parametrize(
    ("client_id", "patch", "header", "words"),
    [
        ("nobody", {}, None, "No User Assigned or Delegated Managed Identity found"),
        (None, {"resources": ["https://another"]}, None, "An unexpected error occured while fetching the AAD Token"),
        (None, {}, "another", "Unauthorized"),
    ],
)
async def test_refusals_of_the_managed_identity_endpoint(identity, monkeypatch, client_id, patch, header, words):
    identity.change(**patch)
    if header:
        monkeypatch.setenv("IDENTITY_HEADER", header)
    async with azure.identity.aio.ManagedIdentityCredential(client_id=client_id, retry_total=0) as chosen:
        with pytest.raises(ClientAuthenticationError, match=words):
            await chosen.get_token(SCOPE)
    assert identity.issued() == {}


async def test_an_app_without_an_identity(identity):
    identity.take_identities_away()
    async with azure.identity.aio.ManagedIdentityCredential() as chosen:
        with pytest.raises(ClientAuthenticationError, match="Unable to load the proper Managed Identity"):
            await chosen.get_token(SCOPE)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_faults_pass_and_the_sdk_tries_again(identity, status):
    identity.faults({"status": status, "times": 2, "retry_after_s": 0.1, "path": "^/msi/"})
    async with azure.identity.aio.ManagedIdentityCredential() as chosen:
        assert (await chosen.get_token(SCOPE)).token
    assert identity.stats()["refused"]["managed_identity"] == {str(status): 2}


def test_slow(identity):
    identity.faults({"kind": "slow", "seconds": 0.3, "times": 1})
    started = time.monotonic()
    ask(identity)
    assert time.monotonic() - started > 0.3


async def test_claims_make_the_sdk_ask_again(identity):
    """The one way to have another token before the old one expires, as is needed after a 401."""
    async with azure.identity.aio.ManagedIdentityCredential() as chosen:
        first = await chosen.get_token(SCOPE)
        second = await chosen.get_token(SCOPE, claims="{}")
        assert first.token != second.token
        assert (await chosen.get_token(SCOPE)).token == second.token
    assert identity.stats()["total"] == 2


# the token server


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/v2.0/token", "/connect/token"])
def test_grants_of_another_client(identity, path):
    """It authenticates in the header, where everything is encoded twice."""
    secret = "p%20+: ö"
    identity.rotate(secret)
    with requests.Session() as session:
        session.trust_env = False
        endpoint = {"token_endpoint": identity["authority"] + path}
        client = Client(endpoint, identity["client_id"], client_secret=secret, http_client=session)
        wanted = {"scope": [SCOPE]} if "v2.0" in path else {"data": {"resource": DICOM_AUDIENCE}}
        answers = [
            client.obtain_token_for_client(**wanted),
            client.obtain_token_by_username_password(identity["username"], identity["password"], **wanted),
        ]
    for answer, user in zip(answers, (None, identity["username"]), strict=True):
        claims = claims_of(identity, answer["access_token"])
        assert (claims["appid"], claims.get("upn")) == (identity["client_id"], user)
        assert 3590 <= int(answer["expires_in"]) <= 3600
    key = (identity["client_id"], DICOM_AUDIENCE)
    assert identity.issued() == {("client_credentials", *key): 1, ("password", *key): 1}


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"client_secret": "another"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "user@example.org", "password": "another"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "nobody", "password": "another"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "invalid_request"),
        ({"path": "/oauth2/v2.0/token", "scope": None}, 400, "invalid_request"),
        ({"path": "/oauth2/v2.0/token", "scope": DICOM_AUDIENCE}, 400, "invalid_scope"),
        ({"path": "/oauth2/v2.0/token", "resource": DICOM_AUDIENCE}, 400, "invalid_request"),
        ({"path": "/token", "scope": "https://a/x https://b/x", "resource": None}, 400, "invalid_scope"),
    ],
)
def test_refusals_of_the_token_server(identity, fields, status, error):
    answer = ask(identity, **fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert answer.headers["cache-control"] == "no-store"
    assert identity.stats() == {"issued": [], "total": 0, "refused": {"managed_identity": {}, "oauth2": {error: 1}}}


def test_two_ways_of_client_authentication_at_once_are_refused(identity):
    both = ask(identity, auth=(identity["client_id"], identity["client_secret"]))
    assert both.json()["error"] == "invalid_request"
    wrong = ask(identity, client_secret=None, auth=(identity["client_id"], "another"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        ("grant_type=client_credentials", "application/json"),
    ],
)
def test_bodies_that_are_no_form(identity, body, content_type):
    auth = (identity["client_id"], identity["client_secret"])
    headers = {"Content-Type": content_type}
    answer = identity.http.post(f"{identity['authority']}/token", content=body, headers=headers, auth=auth)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_public_client_has_users_only(identity):
    identity.rotate()
    user = {"grant_type": "password", "username": identity["username"], "password": identity["password"]}
    assert ask(identity, client_secret=None, **user).status_code == 200
    assert ask(identity, client_secret=None).json()["error"] == "unauthorized_client"


def test_a_client_may_be_kept_from_a_grant(identity):
    identity.change(clients={identity["client_id"]: {"grants": ["password"]}})
    assert ask(identity).json()["error"] == "unauthorized_client"


def test_unknown_resources(identity):
    identity.change(resources=["https://another"])
    answers = [ask(identity, path=path) for path in ("/oauth2/token", "/oauth2/v2.0/token")]
    assert [answer.json()["error"] for answer in answers] == ["invalid_resource"] * 2
    assert ask(identity, path="/token", resource=None, scope=SCOPE).json()["error"] == "invalid_scope"


def test_scopes_that_name_no_resource(identity):
    identity.change(audience="api")
    ask(identity, path="/token", resource=None, scope="read write").raise_for_status()
    assert identity.issued() == {("client_credentials", identity["client_id"], "api"): 1}


@pytest.mark.parametrize(
    ("path", "form", "expected"),
    [
        ("/oauth2/token", None, str),
        ("/oauth2/v2.0/token", None, int),
        ("/token", None, int),
        ("/token", "text", str),
        ("/oauth2/token", "number", int),
        ("/token", "missing", type(None)),
    ],
)
def test_forms_of_expires_in(identity, path, form, expected):
    identity.change(expires_in=form)
    assert type(ask(identity, path=path).json().get("expires_in")) is expected


def test_a_secret_is_rotated_while_tokens_stay_good(identity):
    before = ask(identity).json()["access_token"]
    identity.rotate(identity["client_secret"], "new")
    assert {ask(identity, client_secret=one).status_code for one in (identity["client_secret"], "new")} == {200}
    identity.rotate("new")
    assert ask(identity).json()["error"] == "invalid_client"
    assert ask(identity, client_secret="new").status_code == 200
    assert identity.introspect(before)["active"]


def test_tokens_expire_and_are_revoked(identity):
    identity.change(opaque=True, lifetime_s=0)
    expired = identity.token(DICOM_AUDIENCE)
    identity.change(lifetime_s=60)
    good = identity.token(DICOM_AUDIENCE)
    assert "." not in good
    assert identity.introspect(good)["aud"] == DICOM_AUDIENCE
    assert identity.introspect(expired)["reason"] == "expired"
    assert identity.introspect(good + "x") == {"active": False, "reason": "unknown"}
    assert identity.revoke() == 2
    assert identity.introspect(good)["reason"] == "revoked"


def test_settings_that_are_none_are_refused(identity):
    for patch in ({"lifetime": 1}, {"expires_in": "words"}, {"clients": {"a": {"secret": "b"}}}):
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            identity.change(**patch)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        identity.faults({"kind": "reset"})


def test_sigterm_ends_it_without_a_word(tmp_path):
    with running("identity", "--port", "0", log=tmp_path / "log") as part:
        httpx.get(f"{part.urls['admin']}/stats", trust_env=False).raise_for_status()
        part.process.terminate()
        assert part.process.wait(5) == 0
    assert (tmp_path / "log").read_text() == ""
