"""Identities as search criteria: R4 search.html#escaping, then percent-encoding."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.fhir.identifiers import by_identifier, endpoint_by_name

SYSTEM = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"


@pytest.mark.parametrize(
    ("system", "value", "text"),
    [
        pytest.param("", "MRN1", "identifier=%7CMRN1", id="no system"),
        pytest.param("urn:x", "MRN1", "identifier=urn%3Ax%7CMRN1", id="system"),
        pytest.param(
            "urn:dicom:uid", "urn:oid:1.2", "identifier=urn%3Adicom%3Auid%7Curn%3Aoid%3A1.2", id="Study Instance UID"
        ),
        pytest.param("http://a/b", "1", "identifier=http%3A%2F%2Fa%2Fb%7C1", id="system that is a URL"),
        pytest.param("", "a|b", "identifier=%7Ca%5C%7Cb", id="bar"),
        pytest.param("", "a,b", "identifier=%7Ca%5C%2Cb", id="comma"),
        pytest.param("", "a$b", "identifier=%7Ca%5C%24b", id="dollar"),
        pytest.param("", "a\\b", "identifier=%7Ca%5C%5Cb", id="backslash"),
        pytest.param("", "a\\|b", "identifier=%7Ca%5C%5C%5C%7Cb", id="backslash and bar"),
        pytest.param("", "a&b", "identifier=%7Ca%26b", id="ampersand"),
        pytest.param("", "a+b", "identifier=%7Ca%2Bb", id="plus"),
        pytest.param("", "a#b", "identifier=%7Ca%23b", id="hash"),
        pytest.param("", "a?b", "identifier=%7Ca%3Fb", id="question mark"),
        pytest.param("", "a=b", "identifier=%7Ca%3Db", id="equals sign"),
        pytest.param("", "a b", "identifier=%7Ca%20b", id="space"),
        pytest.param("", "a/b", "identifier=%7Ca%2Fb", id="slash"),
        pytest.param("", "50%", "identifier=%7C50%25", id="percent"),
        pytest.param("", "Ä1", "identifier=%7C%C3%841", id="not ASCII"),
        pytest.param("a|b", "c|d", "identifier=a%5C%7Cb%7Cc%5C%7Cd", id="bar on both sides"),
    ],
)
def test_criteria_of_a_conditional_create(system, value, text):
    assert by_identifier("Patient", system, value).if_none_exist == text


def test_criteria_of_an_endpoint():
    identity = endpoint_by_name("DICOM, WADO-RS", SYSTEM, "dicom-wado-rs")
    assert identity.criteria == (
        ("connection-type", f"{SYSTEM}|dicom-wado-rs"),
        ("name:exact", "DICOM\\, WADO-RS"),
    )
    assert identity.if_none_exist == (
        "connection-type=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem"
        "%2Fendpoint-connection-type%7Cdicom-wado-rs&name:exact=DICOM%5C%2C%20WADO-RS"
    )


def _unescaped(text):
    """System and value as a server reads them: the first bar without a backslash parts them."""
    parts, escaped = [""], False
    for character in text:
        if escaped or character not in "\\|":
            parts[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            parts.append("")
    return parts


@given(st.text(), st.text())
def test_servers_read_system_and_value_as_they_were(system, value):
    query = by_identifier("Patient", system, value).if_none_exist
    assert query.isascii()
    [(name, text)] = parse_qsl(query, strict_parsing=True)
    assert (name, _unescaped(text)) == ("identifier", [system, value])


def test_every_writer_sends_the_same_text():
    one, other = (by_identifier("Patient", "urn:x", "MRN|1") for _ in range(2))
    assert (one, one.if_none_exist, one.key) == (other, other.if_none_exist, other.key)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(by_identifier("Patient", "urn:x", "MRN2"), id="value"),
        pytest.param(by_identifier("Patient", "urn:y", "MRN1"), id="system"),
        pytest.param(by_identifier("Patient", "", "MRN1"), id="no system"),
        pytest.param(by_identifier("Patient", "urn:x", "mrn1"), id="case"),
        pytest.param(by_identifier("Device", "urn:x", "MRN1"), id="type"),
        pytest.param(by_identifier("Patient", "", "urn:x|MRN1"), id="bar in the value"),
    ],
)
def test_keys_tell_identities_apart(other):
    assert by_identifier("Patient", "urn:x", "MRN1").key != other.key


def test_key_fits_a_table_and_says_nothing():
    key = by_identifier("Patient", "urn:x", "MRN/1#?\\").key
    assert (len(key), key.isalnum()) == (64, True)


def _patient(*identifiers):
    return {"resourceType": "Patient", "identifier": list(identifiers)}


@pytest.mark.parametrize(
    ("resource", "matches"),
    [
        pytest.param(_patient({"system": "urn:x", "value": "MRN1"}), True, id="same"),
        pytest.param(_patient({"value": "9"}, {"system": "urn:x", "value": "MRN1"}), True, id="second identifier"),
        pytest.param(_patient({"system": "urn:x", "value": "mrn1"}), False, id="other case"),
        pytest.param(_patient({"system": "URN:X", "value": "MRN1"}), False, id="system in other case"),
        pytest.param(_patient({"system": "urn:x", "value": "MRN10"}), False, id="prefix"),
        pytest.param(_patient({"value": "MRN1"}), False, id="no system"),
        pytest.param(_patient({"system": "urn:x"}), False, id="no value"),
        pytest.param(_patient({"system": "urn:x", "value": "9"}, {"value": "MRN1"}), False, id="halves of two"),
        pytest.param(_patient(), False, id="no identifier"),
        pytest.param({"resourceType": "Patient"}, False, id="element absent"),
    ],
)
def test_hit_with_identifier(resource, matches):
    assert by_identifier("Patient", "urn:x", "MRN1").matches(resource) is matches


@pytest.mark.parametrize(
    ("identifier", "matches"),
    [
        pytest.param({"value": "MRN1"}, True, id="no system"),
        pytest.param({"system": "", "value": "MRN1"}, True, id="empty system"),
        pytest.param({"system": "urn:x", "value": "MRN1"}, False, id="system"),
    ],
)
def test_hit_without_system(identifier, matches):
    assert by_identifier("Patient", "", "MRN1").matches(_patient(identifier)) is matches


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        pytest.param({}, True, id="same"),
        pytest.param({"name": "dicom"}, False, id="name in other case"),
        pytest.param({"name": None}, False, id="no name"),
        pytest.param({"connectionType": {"system": SYSTEM, "code": "dicom-qido-rs"}}, False, id="other code"),
        pytest.param({"connectionType": {"code": "dicom-wado-rs"}}, False, id="no system"),
        pytest.param({"connectionType": {}}, False, id="no connection type"),
    ],
)
def test_hit_that_is_an_endpoint(changes, matches):
    stored = {
        "resourceType": "Endpoint",
        "name": "DICOM",
        "connectionType": {"system": SYSTEM, "code": "dicom-wado-rs"},
    }
    assert endpoint_by_name("DICOM", SYSTEM, "dicom-wado-rs").matches(stored | changes) is matches


def test_an_identifier_is_found_under_its_former_systems():
    found = by_identifier("Patient", "urn:new", "P,1", ("", "urn:old"))
    assert found.criteria == (("identifier", "urn:new|P\\,1,|P\\,1,urn:old|P\\,1"),)
    for row in ({"system": "urn:new", "value": "P,1"}, {"value": "P,1"}, {"system": "urn:old", "value": "P,1"}):
        assert found.matches({"identifier": [row]})
    assert not found.matches({"identifier": [{"system": "urn:other", "value": "P,1"}]})


def test_an_identity_keeps_its_key_when_its_system_or_name_changes():
    """Ids and rows are made of the key: a second resource, or a second memory, would come of another one."""
    was = by_identifier("Patient", "", "P1")
    assert {by_identifier("Patient", *one).key for one in (("urn:b", "P1", ("",)), ("urn:c", "P1", ("", "urn:b")))} == {
        was.key
    }
    named = endpoint_by_name("a", SYSTEM, "dicom-wado-rs")
    moved = endpoint_by_name("b, c", SYSTEM, "dicom-wado-rs", ("a",))
    assert moved.key == named.key
    assert moved.criteria[1] == ("name:exact", "b\\, c,a")
    connection = {"system": SYSTEM, "code": "dicom-wado-rs"}
    assert [moved.matches({"name": name, "connectionType": connection}) for name in ("a", "b, c", "c")] == [
        True,
        True,
        False,
    ]
