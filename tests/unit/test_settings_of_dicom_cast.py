"""Each setting that DICOM Cast reads is taken, refused by name, or named as without effect; the page says which."""

import logging
import re

import pytest

from dev.process import ROOT
from shared.config import Settings
from shared.credentials import identity
from shared.credentials.identity import credential_of
from shared.errors import Misconfigured
from shared.settings import vault
from shared.settings.hosting import StorageAccount, Triggers
from shared.settings.of_dicom_cast import SETTINGS_OF_DICOM_CAST, Use
from shared.settings.path import path_of
from shared.settings.source import nested
from shared.settings.unknown import known_settings, unknown_settings
from shared.wiring import build

NEEDED = {"DicomWeb__Endpoint": "https://dicom.example.org", "Fhir__Endpoint": "https://fhir.example.org"}
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
CREDENTIAL = {"Resource": "a", "TokenUri": "https://login.example.org", "ClientId": "a", "ClientSecret": "a"}
CREDENTIAL |= {"Username": "a", "Password": "a"}
OTHERWISE = {
    "Endpoint": "https://other.example.org",
    "PrivateEndpoint": "https://other.example.org",
    "EndpointUri": "https://a.table.core.windows.net",
    "TokenUri": "https://other.example.org",
    "ConnectionString": "DefaultEndpointsProtocol=https;AccountName=b;AccountKey=c2VjcmV0",
    "Enabled": "true",
    "AuthenticationType": "OAuth2ClientCredential",
    "PollInterval": "00:05:00",
    "TotalRetryDuration": "00:07:00",
    "GenerateObservations": "false",
    "PatientSystemId": "urn:oid:1.2",
}
CERTIFICATE = "OAuth2ClientCertificateCredential"
BEFORE_SETTINGS = ("DicomCastWorker__PollInterval", "KeyVault__Endpoint")


def named(use):
    return [name for name, one in SETTINGS_OF_DICOM_CAST.items() if one is use]


def around(name):
    """App settings with which this one has a meaning."""
    service, _, rest = name.partition("__Authentication__")
    kind, _, _ = rest.partition("__")
    if not rest or kind == "Enabled":
        kind = "ManagedIdentityCredential"
    if kind == "AuthenticationType":
        kind = "OAuth2UserPasswordCredential"
    there = {f"{service}__Authentication__{kind}__{key}": value for key, value in CREDENTIAL.items()} if rest else {}
    there |= {f"{service}__Authentication__OAuth2ClientCredential__{key}": "https://a" for key in CREDENTIAL if rest}
    type_of = kind.replace("ManagedIdentityCredential", "ManagedIdentity")
    there |= {f"{service}__Authentication__AuthenticationType": type_of} if rest else {}
    enabled = {f"{service}__Authentication__Enabled": "false" if rest == "Enabled" else "true"} if rest else {}
    return NEEDED | there | enabled


@pytest.mark.parametrize("name", [one for one in named(Use.TAKEN) if one not in BEFORE_SETTINGS])
def test_what_is_taken_makes_a_difference(load, name):
    key = name.rpartition("__")[2]
    is_switch = key in ("EnforceValidationOfTagValues", "IgnoreJsonParsingErrors", "IsIssuerIdUsed")
    otherwise = OTHERWISE.get(key, "true" if is_switch else "b")
    before = load(Settings, around(name))
    assert load(Settings, {**around(name), name: otherwise}) != before


@pytest.mark.parametrize("name", SETTINGS_OF_DICOM_CAST)
def test_none_is_called_unknown(name):
    assert unknown_settings(nested({path_of(name): "a"}), known_settings(Settings)) == ()
    if "__Authentication__" in name:
        assert len(unknown_settings(nested({path_of(f"{name}s"): "a"}), known_settings(Settings))) == 1


def test_the_poll_interval_is_taken(load):
    load(Settings, {**NEEDED, "DicomCastWorker__PollInterval": "00:05:00"})
    assert Triggers.load().schedule == "0 */5 * * * *"


@pytest.mark.parametrize("service", ["DicomWeb", "Fhir"])
def test_a_certificate_is_refused_by_name(load, service):
    section = f"{service}__Authentication"
    with pytest.raises(Misconfigured) as refused:
        load(Settings, {**NEEDED, f"{section}__Enabled": "true", f"{section}__AuthenticationType": CERTIFICATE})
    (problem,) = refused.value.problems
    assert problem.startswith(f"{section} has the AuthenticationType OAuth2ClientCertificateCredential, which this app")
    assert {one.split("__")[2] for one in named(Use.REFUSED)} == {CERTIFICATE}


@pytest.mark.parametrize("name", named(Use.NO_EFFECT))
def test_what_has_no_effect_is_named(load, caplog, name):
    caplog.set_level(logging.INFO)
    setting = f"{name}__Default" if name == "Logging__LogLevel" else name
    assert load(Settings, {**NEEDED, setting: "00:00:05"}) == load(Settings, NEEDED)
    assert caplog.messages == [f"settings_without_effect settings={name}"]


async def test_tables_without_keys(load, monkeypatch):
    """DICOM Cast's way: the address of the account's tables, and the client id of an identity."""
    asked = []
    monkeypatch.setattr(
        identity, "credential_of", lambda client_id: asked.append(client_id) or credential_of(client_id)
    )
    uri = {"TableStore__EndpointUri": "https://cast.table.core.windows.net", "TableStore__ClientId": "of-cast"}
    settings = load(Settings, {**NEEDED, **STORAGE, **uri, "IDENTITY_ENDPOINT": "http://127.0.0.1:1"})
    app = build(settings, StorageAccount.load())
    try:
        client = app.checkpoints._table._client
        assert client.url == "https://cast.table.core.windows.net"
        assert asked == ["of-cast"]
    finally:
        await app.close()


def test_where_the_vault_has_it_too_both_are_named(load, caplog, monkeypatch):
    kept = {("fhir", "endpoint"): "https://of-the-vault.example.org", ("patient", "patientsystemid"): "urn:x"}
    monkeypatch.setattr(vault, "vault_settings", lambda _: kept)
    settings = load(Settings, {**NEEDED, "KeyVault__Endpoint": "https://vault.example.org"})
    assert (settings.fhir.endpoint, settings.patient.patient_system_id) == ("https://fhir.example.org", "urn:x")
    (line,) = caplog.messages
    assert line.startswith("settings_in_both settings=Fhir__Endpoint reason=the app settings win")
    assert "of-the-vault" not in line


def test_the_page_has_all_of_them():
    page = (ROOT / "docs" / "settings.md").read_text()
    table = page[page.index("## What DICOM Cast reads") :]
    found = {}
    for names, use in re.findall(r"^\| (`.+`) \| (taken|refused|without effect)[,;:]? ?[^|]*\|$", table, re.MULTILINE):
        found |= dict.fromkeys(re.findall("`([^`]+)`", names), Use(use))
    assert found == SETTINGS_OF_DICOM_CAST
