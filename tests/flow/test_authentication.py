"""The app proves who it is: real SDKs and grants, stand-ins that issue tokens, gates that check them."""

import asyncio
import time

import pytest

from shared.errors import Misconfigured, SyncError
from shared.worker import Worker
from tests.builders import make_instance
from tests.identity_stack import DICOM_AUDIENCE, FHIR_AUDIENCE

KINDS = ("system-assigned", "user-assigned", "AZURE_CLIENT_ID", "client credentials", "password", "password elsewhere")


def authentication(section, kind, identity, audience):
    """Settings of one service, as an operator would set them."""
    at = f"{section}__Authentication"
    found = {f"{at}__Enabled": "true"}
    if kind in KINDS[:3]:
        found[f"{at}__AuthenticationType"] = "ManagedIdentity"
        found[f"{at}__ManagedIdentityCredential__Resource"] = audience
        if kind == "user-assigned":
            found[f"{at}__ManagedIdentityCredential__ClientId"] = identity.user_assigned
        return found
    is_password = kind.startswith("password")
    where = "OAuth2UserPasswordCredential" if kind == "password" else "OAuth2ClientCredential"
    found[f"{at}__AuthenticationType"] = "OAuth2UserPasswordCredential" if is_password else "OAuth2ClientCredential"
    found[f"{at}__{where}__TokenUri"] = identity["token_uri_v1"]
    found[f"{at}__{where}__Resource"] = audience
    found[f"{at}__{where}__ClientId"] = identity["client_id"]
    found[f"{at}__{where}__ClientSecret"] = identity["client_secret"]
    if is_password:
        found[f"{at}__{where}__Username"] = identity["username"]
        found[f"{at}__{where}__Password"] = identity["password"]
    return found


@pytest.fixture
def gated(identity, dicom_gate, fhir_gate):
    """Settings by which the app goes through both gates, as this kind of identity."""

    def settings(kind, **more):
        return {
            "DicomWeb__PrivateEndpoint": dicom_gate.url,
            "Fhir__Endpoint": fhir_gate.url,
            **authentication("DicomWeb", kind, identity, DICOM_AUDIENCE),
            **authentication("Fhir", kind, identity, FHIR_AUDIENCE),
            **({"AZURE_CLIENT_ID": identity.user_assigned} if kind == "AZURE_CLIENT_ID" else {}),
            **more,
        }

    return settings


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_reaches_both_services(stack, gated, identity, dicom_gate, fhir_gate, kind):
    app = stack.new_app(**gated(kind))
    await stack.store(make_instance(1), make_instance(2))
    assert (await stack.drain(app))["created"] == 2
    assert len(await stack.resources("ImagingStudy")) == 2
    for gate in (dicom_gate, fhir_gate):
        assert gate.counts()["passed"] > 2
        assert sum(gate.counts()["refused"].values()) == 0
    assert sorted(identity.issued().values()) == [1, 1]  # one for each service
    who = {client for _, client, _ in identity.issued()}
    expected = {"system-assigned": identity.system_assigned, KINDS[1]: identity.user_assigned}
    expected[KINDS[2]] = identity.user_assigned
    assert who == {expected.get(kind, identity["client_id"])}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_requests_share_a_token(stack, gated, identity, kind):
    app = stack.new_app(**gated(kind))
    await asyncio.gather(*(app.dicom.latest_sequence() for _ in range(100)))
    assert list(identity.issued().values()) == [1]


@pytest.mark.parametrize("kind", ["system-assigned", "client credentials"])
async def test_a_hundred_refused_requests_share_another_token(stack, gated, identity, dicom_gate, monkeypatch, kind):
    monkeypatch.setattr("shared.credentials.tokens.NEW_S", 0)
    app = stack.new_app(**gated(kind))
    await app.dicom.latest_sequence()
    identity.revoke()
    await asyncio.gather(*(app.dicom.latest_sequence() for _ in range(100)))
    assert list(identity.issued().values()) == [2]
    assert dicom_gate.counts()["passed"] == 101


async def test_a_new_token_that_is_refused_is_not_replaced_again_and_again(stack, gated, identity, dicom_gate):
    app = stack.new_app(**gated("system-assigned"))
    dicom_gate.change(audiences=["https://another.example"])
    for _ in range(5):
        with pytest.raises(Misconfigured):
            await app.dicom.latest_sequence()
    assert list(identity.issued().values()) == [1]


@pytest.mark.parametrize("kind", ["system-assigned", "client credentials"])
async def test_tokens_are_refreshed_before_they_end(stack, gated, identity, dicom_gate, monkeypatch, kind):
    monkeypatch.setattr("shared.credentials.tokens.REFRESH_LEFT", 0.8)  # a busy machine has eight seconds to spare
    identity.change(lifetime_s=10)
    app = stack.new_app(**gated(kind))
    started = time.monotonic()
    for _ in range(25):
        await app.dicom.latest_sequence()
        await asyncio.sleep(0.2)
    assert sum(dicom_gate.counts()["refused"].values()) == 0
    assert 2 <= sum(identity.issued().values()) <= time.monotonic() - started


async def test_a_live_token_serves_while_no_new_one_is_to_be_had(stack, gated, identity, monkeypatch):
    monkeypatch.setattr("shared.credentials.tokens.REFRESH_LEFT", 0.95)
    identity.change(lifetime_s=30)
    app = stack.new_app(**gated("client credentials"))
    await app.dicom.latest_sequence()
    identity.faults({"status": 503})
    await asyncio.sleep(1.6)  # it wants to be refreshed, and lives still
    await app.dicom.latest_sequence()
    assert list(identity.issued().values()) == [1]


REFUSALS = [
    ("system-assigned", "audience", "access-refused", "check the app's identity, its role and the audience"),
    ("system-assigned", "role", "access-refused", "check the app's identity, its role and the audience"),
    ("system-assigned", "no identity", "access-refused", "assign one"),
    ("client credentials", "secret", "access-refused", "check ClientId and ClientSecret; the secret may have expired"),
    ("client credentials", "audience", "access-refused", "check the app's identity, its role and the audience"),
    ("client credentials", "role", "access-refused", "check the app's identity, its role and the audience"),
    ("password", "password", "access-refused", "check Username and Password"),
    ("client credentials", "grant", "access-refused", "this client may not use this grant"),
    ("client credentials", "down", "server-error", "the token endpoint for the DICOM service answered 503"),
    ("client credentials", "throttled", "throttled", "the token endpoint for the DICOM service answered 429"),
    ("system-assigned", "down", "unavailable", "the identity's token for the DICOM service is not to be had now"),
]


@pytest.mark.parametrize(("kind", "trouble", "code", "advice"), REFUSALS)
async def test_a_refusal_says_what_to_do(stack, gated, identity, dicom_gate, kind, trouble, code, advice):
    app = stack.new_app(**gated(kind))
    await stack.store(make_instance(1))
    await stack.poll()  # by the app that nobody asks for a token
    match trouble:
        case "audience":
            dicom_gate.change(audiences=["https://another.example"])
        case "role":
            dicom_gate.change(deny=True)
        case "no identity":
            identity.take_identities_away()
        case "secret":
            identity.rotate("another")
        case "password":
            identity.change(users={identity["username"]: "another"})
        case "grant":
            identity.change(clients={identity["client_id"]: {"grants": ["password"]}})
        case "down":
            identity.faults({"status": 503})
        case "throttled":
            identity.faults({"status": 429, "retry_after_s": 1})
    with pytest.raises(SyncError) as raised:
        await app.poller.poll()
    assert raised.value.code == code
    assert advice in str(raised.value)
    for private in (identity["client_secret"], identity["password"], "eyJ"):
        assert private not in str(raised.value)
    (text,) = await stack.messages()
    assert await stack.run(text, app=app) == ["retrying"]
    assert await stack.rows("TransientFailureExceptionTable") == []


IN_VAULT = "Fhir--Authentication--OAuth2ClientCredential--ClientSecret"


@pytest.fixture
def vaulted(stack, gated, vault, monkeypatch):
    """Every setting of the app but those of its host is in the vault."""
    found = gated("client credentials", DICOM__Endpoint=stack.dicom)
    vault.put({name.replace("__", "--"): value for name, value in found.items()})
    vault.put({"Somebody--Elses": "secret", "Lonely": "secret"})
    for name in ("DicomWeb__Endpoint", "Fhir__Endpoint"):
        monkeypatch.delenv(name)
    return vault


@pytest.fixture
async def worker():
    """A worker process of its own."""
    worker = Worker()
    yield worker
    for app in (worker._app, worker._retired):
        if app is not None:
            await app.close()


async def one_study(stack, worker, number):
    """Store a study and let the worker bring it to FHIR; how many runs that took."""
    await stack.store(make_instance(number))
    runs = 0
    while True:
        polled = await worker.poll()
        for text in await stack.messages():
            await worker.sync(text)
            runs += 1
        if polled and not await stack.app.queue.depth():
            return runs
        await asyncio.sleep(0.2)


async def test_settings_come_from_the_vault(stack, worker, vaulted):
    assert await one_study(stack, worker, 1) == 1
    assert len(await stack.resources("ImagingStudy")) == 1
    assert set(vaulted.stats()["gets"]) & {"Somebody--Elses", "Lonely"} == set()


async def test_app_settings_win_over_the_vault(stack, worker, vaulted, monkeypatch):
    vaulted.put({"Patient--PatientSystemId": "urn:vault", "TableStore--TableNamePrefix": "vault"})
    monkeypatch.setenv("Patient__PatientSystemId", "urn:app")
    await one_study(stack, worker, 1)
    (patient,) = await stack.resources("Patient")
    assert patient["identifier"][0]["system"] == "urn:app"


async def test_a_misspelt_secret_is_named(worker, vaulted):
    vaulted.put({"Fhir--Endpont": "x", "Somebody--Endpoint": "x"})
    named = [text for text in (await worker.health())["problems"] if "nothing reads it" in text]
    assert named == [
        "settings: fhir--endpont is not a setting of this app, and nothing reads it: is Fhir__Endpoint meant?"
    ]


async def test_a_rotated_secret_is_taken_up_without_a_restart(stack, worker, vaulted, identity, monkeypatch):
    monkeypatch.setattr("shared.credentials.tokens.NEW_S", 0)
    monkeypatch.setattr("shared.worker.READ_AGAIN_AFTER_S", 0)
    await one_study(stack, worker, 1)
    identity.rotate("the next one")
    identity.revoke()
    for section in ("DicomWeb", "Fhir"):
        vaulted.put({IN_VAULT.replace("Fhir", section): "the next one"})
    assert await one_study(stack, worker, 2) <= 2
    assert len(await stack.resources("ImagingStudy")) == 2


async def test_the_vault_is_not_asked_by_everyone_who_is_refused(stack, worker, vaulted, identity, monkeypatch):
    monkeypatch.setattr("shared.credentials.tokens.NEW_S", 0)
    await one_study(stack, worker, 1)
    lists = vaulted.stats()["lists"]
    identity.rotate("nobody knows")
    identity.revoke()
    for _ in range(10):
        assert await worker.poll() is None
    assert vaulted.stats()["lists"] == lists


@pytest.mark.parametrize("change", [{"down": True}, {"access": {"deny": True}}], ids=["down", "role missing"])
async def test_a_vault_that_cannot_be_read_loses_nothing(stack, worker, vaulted, change):
    await stack.store(make_instance(1))
    await stack.poll()
    (text,) = await stack.messages()
    vaulted.change(**change)
    await worker.sync(text)
    assert await worker.poll() is None
    state = await worker.health()
    assert state["status"] == "unhealthy"
    assert "KeyVault__Endpoint" in state["problems"][0]
    assert await stack.app.queue.depth() == 1
    vaulted.change(down=False, access={"deny": False})
    assert await one_study(stack, worker, 2) >= 2
    assert len(await stack.resources("ImagingStudy")) == 2
