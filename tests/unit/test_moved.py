"""What FHIR holds under a former address of the archive, read as if it had been written at the present one."""

import pytest

from shared.mapping.moved import addresses_of, with_present_endpoint
from shared.sync.removal import printed
from tests.unit.datasets import key
from tests.unit.test_sources import URL, study

OLD, NEW, OTHER = "https://old.example.org/", "https://new.example.org/dicom", "https://pacs.example.org/"
OLDEST = "https://oldest.example.org/a/"
LONG = "https://" + "a" * 60 + ".example.org/" + "b" * 60
ADDRESSES = addresses_of(NEW, ["HTTPS://OLDEST.example.org:443/a/", "https://old.example.org"])


def of_source(source):
    return {"resourceType": "Observation", "id": "1", "meta": {"versionId": "3", "source": source}}


def named(*names):
    return [{"url": URL, "valueUri": name} for name in names]


@pytest.mark.parametrize(
    ("source", "moved"),
    [
        pytest.param(OLD, NEW, id="former"),
        pytest.param(OLDEST, NEW, id="the one before"),
        pytest.param(f"{OLD}#XvB3", NEW, id="decorated"),
        pytest.param(OTHER, OTHER, id="another service"),
        pytest.param(f"{OLD}v2", f"{OLD}v2", id="below the former address"),
        pytest.param("https://old.example.org", "https://old.example.org", id="not as it is printed"),
        pytest.param("https://old.ex", "https://old.ex", id="too short to be cut"),
        pytest.param(f"{NEW}#XvB3", f"{NEW}#XvB3", id="present, decorated"),
        pytest.param("", "", id="none"),
    ],
)
def test_source(source, moved):
    assert ADDRESSES.at_present(of_source(source)) == of_source(moved)


@pytest.mark.parametrize("length", [100, 110])
def test_a_source_that_the_server_cut_is_ours(length):
    addresses = addresses_of(NEW, [LONG])
    assert addresses.at_present(of_source(LONG[:length]))["meta"]["source"] == NEW
    assert addresses_of(LONG).at_present(of_source(LONG[:length]))["meta"]["source"] == LONG
    assert addresses_of(NEW).at_present(of_source(LONG[:length]))["meta"]["source"] == LONG[:length]


def test_named_sources_move_with_their_data_partition():
    stored = study(key(1, 1), source=OLD) | {"extension": [{"url": "urn:x"}, *named(OLD, f"{OLD}#a", OTHER)]}
    stored["series"][0]["extension"] = named(f"{OLD}#a", f"{NEW}#a")
    stored["series"][0]["instance"][0]["extension"] = named(OTHER)
    found = ADDRESSES.at_present(stored)
    assert found["meta"]["source"] == NEW
    assert found["extension"] == [{"url": "urn:x"}, *named(NEW, f"{NEW}#a", OTHER)]
    assert found["series"][0]["extension"] == named(f"{NEW}#a")
    assert found["series"][0]["instance"][0]["extension"] == named(OTHER)
    assert stored["extension"][1] == named(OLD)[0]


def test_what_is_at_the_present_address_is_the_same_object():
    stored = study(key(1, 1), source=NEW) | {"extension": named(NEW, f"{NEW}#a", OTHER)}
    assert ADDRESSES.at_present(stored) is stored
    assert with_present_endpoint(stored, [], "Endpoint/n") is stored


def test_references_move_to_the_present_endpoint_once():
    rows = [{"reference": "Endpoint/o"}, {"reference": "Endpoint/theirs"}, {"reference": "Endpoint/n"}]
    stored = study(key(1, 1)) | {"endpoint": rows}
    stored["series"][0]["endpoint"] = [{"reference": "Endpoint/o", "display": "archive"}]
    found = with_present_endpoint(stored, ["Endpoint/o"], "Endpoint/n")
    assert found["endpoint"] == [{"reference": "Endpoint/n"}, {"reference": "Endpoint/theirs"}]
    assert found["series"][0]["endpoint"] == [{"reference": "Endpoint/n", "display": "archive"}]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("https://user:secret@old.example.org:8443/a?name=Doe", "https://old.example.org:8443/a", id="URL"),
        pytest.param(f"{OLD}#clinic-a", f"{OLD}#clinic-a", id="data partition"),
        pytest.param("urn:oid:1.2.3", "urn:oid:1.2.3", id="URN"),
        pytest.param("urn:mrn:4711", "one that is not a URL", id="URN of a patient"),
        pytest.param("https://ris.example.org/fhir/Patient/4711", "https://ris.example.org/fhir/…", id="of a patient"),
        pytest.param("https://ris.example.org/Doe4711/x", "https://ris.example.org/…", id="number in the path"),
        pytest.param("https://ris.example.org/#Doe^Jane", "https://ris.example.org/", id="not a data partition"),
        pytest.param("Doe^Jane", "one that is not a URL", id="text"),
        pytest.param("https://a b/", "one that is not a URL", id="not a URL"),
        pytest.param("https://[", "one that is not a URL", id="not even nearly"),
        pytest.param("", "not given", id="none"),
    ],
)
def test_a_source_in_the_log(source, text):
    assert printed(source) == text
