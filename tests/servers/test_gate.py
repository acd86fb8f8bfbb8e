"""The gate: who has a good token comes through to the service, others are answered as by Microsoft's services."""

import subprocess
import sys

import httpx
import pytest

from dev.process import ROOT
from tests.identity_stack import DICOM_AUDIENCE, FHIR_AUDIENCE

LATEST = "/v2/changefeed/latest"


@pytest.fixture
def get(identity, dicom_gate):
    """Ask the DICOM service through its gate."""

    def get(token=None, path=LATEST):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return identity.http.get(dicom_gate.url + path, headers={"Accept": "application/json", **headers})

    return get


def test_a_good_token_passes(identity, dicom_gate, get):
    token = identity.token(DICOM_AUDIENCE)
    direct = identity.http.get(dicom_gate.announced["to"] + LATEST)
    for _ in range(2):
        through = get(token)
        assert (through.status_code, through.content) == (direct.status_code, direct.content)
    assert dicom_gate.counts() == {"passed": 2, "refused": {}}


def test_the_fhir_server_has_a_gate_of_its_own(identity, fhir_gate):
    answers = [
        identity.http.get(f"{fhir_gate.url}/metadata", headers={"Authorization": f"Bearer {identity.token(one)}"})
        for one in (FHIR_AUDIENCE, DICOM_AUDIENCE)
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[0].json()["resourceType"] == "CapabilityStatement"
    assert fhir_gate.counts() == {"passed": 1, "refused": {"audience": 1}}


def challenge(identity, error=""):
    names = f'resource_id="{DICOM_AUDIENCE}", realm="{DICOM_AUDIENCE}"'
    return f'Bearer authorization_uri="{identity["authority"]}", {names}{error}'


def test_no_token(identity, dicom_gate, get):
    answer = get()
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == challenge(identity)
    assert dicom_gate.counts() == {"passed": 0, "refused": {"missing": 1}}


def test_another_way_to_authenticate_is_no_token(identity, dicom_gate):
    answer = identity.http.get(dicom_gate.url + LATEST, auth=("user", "password"))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge(identity))


def expired(identity):
    identity.change(lifetime_s=0)
    return identity.token(DICOM_AUDIENCE)


def revoked(identity):
    token = identity.token(DICOM_AUDIENCE)
    identity.revoke()
    return token


BAD_TOKENS = [
    ("unknown", lambda identity: identity.token(DICOM_AUDIENCE)[:-4] + "AAAA", "The signature is invalid"),
    ("audience", lambda identity: identity.token("https://another"), "The audience 'https://another' is invalid"),
    ("audience", lambda identity: identity.token(DICOM_AUDIENCE + "/"), f"The audience '{DICOM_AUDIENCE}/' is invalid"),
    ("expired", expired, "The token expired at '"),
    ("revoked", revoked, "The token was revoked"),
]


@pytest.mark.parametrize(("reason", "make", "words"), BAD_TOKENS)
def test_bad_tokens(identity, dicom_gate, get, reason, make, words):
    answer = get(make(identity))
    assert (answer.status_code, answer.content) == (401, b"")
    expected = challenge(identity, f', error="invalid_token", error_description="{words}')
    assert answer.headers["www-authenticate"].startswith(expected)
    assert dicom_gate.counts() == {"passed": 0, "refused": {reason: 1}}


def test_role_missing(identity, dicom_gate, get):
    identity.change(clients={identity["client_id"]: {"roles": ["FHIR Data Writer"]}})
    answer = get(identity.token(DICOM_AUDIENCE))
    assert (answer.status_code, answer.text) == (403, "Authorization failed.")
    assert "www-authenticate" not in answer.headers
    assert dicom_gate.counts() == {"passed": 0, "refused": {"role": 1}}


def test_switched_while_it_runs(identity, dicom_gate, get):
    token = identity.token(DICOM_AUDIENCE)
    seen = []
    for patch in ({"deny": True}, {"deny": False}, {"audiences": [FHIR_AUDIENCE, DICOM_AUDIENCE]}, {"role": "Another"}):
        dicom_gate.change(**patch)
        seen.append(get(token).status_code)
    dicom_gate.change(on=False)
    assert [status // 100 for status in seen] == [4, 2, 2, 4]
    assert get().status_code // 100 == 2
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        dicom_gate.change(audience="x")


def test_faults_of_the_way_come_first(identity, dicom_gate, get):
    """A gateway that is down asks nobody for a token."""
    dicom_gate.faults({"status": 503, "times": 1})
    assert [get().status_code for _ in range(2)] == [503, 401]
    assert identity.stats()["total"] == 0


def test_one_that_asks_for_no_audience_does_not_start():
    command = [sys.executable, "-m", "dev", "proxy", "--to", "http://127.0.0.1:1", "--identity", "http://127.0.0.1:1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "a gate needs --identity and --audience" in ended.stderr
