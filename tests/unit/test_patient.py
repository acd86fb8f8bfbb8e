"""DICOM Patient Module to Patient."""

from copy import deepcopy
from dataclasses import replace

import pytest

from shared.dicom.values import Attributes
from shared.errors import PermanentError
from shared.fhir.identifiers import by_identifier
from shared.fhir.validation import check_valid
from shared.mapping.patient import PatientRules, demographics, lay_patient, patient_identity
from tests.unit.datasets import codes, dataset

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
IDENTITY = by_identifier("Patient", "urn:x", "MRN-0001")


ANYBODY = Attributes(dataset(PatientID="1001"))
BY_OID = dataset(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")
BY_NAME = dataset(UniversalEntityID="clinic", UniversalEntityIDType="DNS")


@pytest.mark.parametrize(
    ("attributes", "rules", "expected"),
    [
        pytest.param({"PatientID": "MRN-0001"}, PatientRules(), ("", "MRN-0001"), id="no system"),
        pytest.param({"PatientID": "MRN-0001"}, PatientRules("urn:x"), ("urn:x", "MRN-0001"), id="configured system"),
        pytest.param({"PatientID": " MRN-0001\0"}, PatientRules("urn:x"), ("urn:x", "MRN-0001"), id="padded"),
        pytest.param(
            {"PatientID": "MRN-0001", "IssuerOfPatientID": "clinic"},
            PatientRules("urn:x"),
            ("urn:x", "MRN-0001"),
            id="no issuer asked",
        ),
        pytest.param(
            {"PatientID": "MRN-0001", "IssuerOfPatientID": "clinic"},
            PatientRules("urn:x", issuer_is_system=True),
            ("clinic", "MRN-0001"),
            id="issuer",
        ),
        pytest.param(
            {"PatientID": "MRN-0001"}, PatientRules("urn:x", issuer_is_system=True), ("", "MRN-0001"), id="no issuer"
        ),
        pytest.param(
            {"PatientID": "MRN-0001", "IssuerOfPatientIDQualifiersSequence": [BY_OID]},
            PatientRules("urn:x", issuer_is_system=True),
            ("urn:oid:1.2.3", "MRN-0001"),
            id="issuer only among its qualifiers",
        ),
        pytest.param(
            {"PatientID": "MRN-0001", "IssuerOfPatientIDQualifiersSequence": [BY_NAME]},
            PatientRules("urn:x", issuer_is_system=True),
            ("", "MRN-0001"),
            id="qualifiers that are no URI",
        ),
    ],
)
def test_identity(attributes, rules, expected):
    said = Attributes(dataset(**attributes))
    identity = patient_identity(said, said, rules)
    assert (identity.system, identity.value) == expected


@pytest.mark.parametrize("value", [None, "", "  ", "\0"], ids=["empty", "empty text", "spaces", "NUL"])
def test_no_identity_without_patient_id(value):
    said = Attributes(dataset(PatientID=value))
    assert patient_identity(said, said, PatientRules("urn:x")) is None


@pytest.mark.parametrize(
    ("attributes", "expected", "found"),
    [
        pytest.param({}, {}, [], id="nothing said"),
        pytest.param({"PatientName": None, "PatientSex": None, "PatientBirthDate": None}, {}, [], id="all empty"),
        pytest.param(
            {"PatientName": {"Alphabetic": "Rivera^Ana^Maria^Dr^Jr"}},
            {
                "name": [
                    {
                        "use": "usual",
                        "family": "Rivera",
                        "given": ["Ana", "Maria"],
                        "prefix": ["Dr"],
                        "suffix": ["Jr"],
                    }
                ]
            },
            [],
            id="PatientName, five components",
        ),
        pytest.param(
            {"PatientName": {"Alphabetic": "Rivera"}}, {"name": [{"use": "usual", "family": "Rivera"}]}, [], id="family"
        ),
        pytest.param(
            {"PatientName": {"Alphabetic": "^Ana"}}, {"name": [{"use": "usual", "given": ["Ana"]}]}, [], id="given"
        ),
        pytest.param(
            {"PatientName": {"Alphabetic": "Rivera^^Maria"}},
            {"name": [{"use": "usual", "family": "Rivera", "given": ["Maria"]}]},
            [],
            id="middle name alone",
        ),
        pytest.param(
            {"PatientName": {"Alphabetic": "^^^Dr"}}, {"name": [{"use": "usual", "prefix": ["Dr"]}]}, [], id="prefix"
        ),
        pytest.param({"PatientName": {"Alphabetic": "^^^^"}}, {}, [], id="only delimiters"),
        pytest.param(
            {
                "PatientName": {
                    "Alphabetic": "Yamada^Tarou",
                    "Ideographic": "山田^太郎",
                    "Phonetic": "やまだ^たろう",
                }
            },
            {
                "name": [
                    {"use": "usual", "family": "Yamada", "given": ["Tarou"]},
                    {
                        "use": "usual",
                        "extension": [{"url": REPRESENTATION, "valueCode": "IDE"}],
                        "family": "山田",
                        "given": ["太郎"],
                    },
                    {
                        "use": "usual",
                        "extension": [{"url": REPRESENTATION, "valueCode": "SYL"}],
                        "family": "やまだ",
                        "given": ["たろう"],
                    },
                ]
            },
            [],
            id="PatientName, three groups",
        ),
        pytest.param({"PatientSex": "M"}, {"gender": "male"}, [], id="PatientSex M"),
        pytest.param({"PatientSex": "F"}, {"gender": "female"}, [], id="PatientSex F"),
        pytest.param({"PatientSex": "O"}, {"gender": "other"}, [], id="PatientSex O"),
        pytest.param({"PatientSex": "F "}, {"gender": "female"}, [], id="PatientSex padded"),
        pytest.param({"PatientSex": "X"}, {}, [("PatientSex", "unknown-code")], id="PatientSex unknown"),
        pytest.param({"PatientBirthDate": "19700102"}, {"birthDate": "1970-01-02"}, [], id="PatientBirthDate"),
        pytest.param({"PatientBirthDate": "197001"}, {"birthDate": "1970-01"}, [], id="PatientBirthDate, month"),
        pytest.param({"PatientBirthDate": "1970"}, {"birthDate": "1970"}, [], id="PatientBirthDate, year"),
        pytest.param(
            {"PatientBirthDate": "1970-01-02"},
            {},
            [("PatientBirthDate", "invalid-date")],
            id="PatientBirthDate invalid",
        ),
        pytest.param(
            {"PatientBirthDate": "never", "PatientSex": "M"},
            {"gender": "male"},
            [("PatientBirthDate", "invalid-date")],
            id="one invalid, the other stays",
        ),
    ],
)
def test_demographics(attributes, expected, found):
    read = Attributes(dataset(**attributes))
    assert (demographics(read), codes(read.findings)) == (expected, found)
    check_valid(lay_patient(None, IDENTITY, expected))


OURS = {"name": [{"use": "usual", "family": "Rivera"}], "gender": "female", "birthDate": "1970-01-02"}
FOREIGN_NAME = {"use": "official", "family": "Rivera-Soto"}
FOREIGN = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "3"},
    "identifier": [{"system": "urn:x", "value": "MRN-0001"}, {"system": "urn:ssn", "value": "1"}],
    "name": [{"use": "usual", "family": "Rivero"}, FOREIGN_NAME],
    "gender": "unknown",
    "telecom": [{"system": "phone", "value": "555"}],
}


@pytest.mark.parametrize(
    ("stored", "identity", "ours", "expected"),
    [
        pytest.param(
            None,
            IDENTITY,
            OURS,
            {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "MRN-0001"}], **OURS},
            id="new",
        ),
        pytest.param(
            None,
            by_identifier("Patient", "", "MRN-0001"),
            {},
            {"resourceType": "Patient", "identifier": [{"value": "MRN-0001"}]},
            id="new, no system, no demographics",
        ),
        pytest.param(
            FOREIGN,
            IDENTITY,
            OURS,
            FOREIGN | OURS | {"name": [*OURS["name"], FOREIGN_NAME]},
            id="ours replaced, others' names, identifiers and contacts stay",
        ),
        pytest.param(FOREIGN, IDENTITY, {}, FOREIGN, id="what DICOM leaves empty stays"),
        pytest.param(
            FOREIGN, IDENTITY, {"gender": "female"}, FOREIGN | {"gender": "female"}, id="only what DICOM says changes"
        ),
    ],
)
def test_patient_is_laid_over_the_stored_one(stored, identity, ours, expected):
    before = deepcopy(stored)
    laid = lay_patient(stored, identity, ours)
    assert laid == expected
    assert lay_patient(laid, identity, ours) == expected
    assert stored == before


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("MR", {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}),
        ("M\t R", {"text": "M\t R"}),
        ("ward number", {"text": "ward number"}),
    ],
)
def test_identifier_type_is_a_code_where_the_table_has_it(code, kind):
    qualifiers = dataset(IdentifierTypeCode=code)
    read = Attributes(dataset(PatientID="MRN-0001", IssuerOfPatientIDQualifiersSequence=qualifiers))
    patient = lay_patient(None, IDENTITY, demographics(read))
    assert patient["identifier"][0]["type"] == {"id": "dicom-type", **kind}
    check_valid(patient)


PARTITIONS = {"clinic-a": "urn:a", "microsoft.default": "urn:d"}


@pytest.mark.parametrize(
    ("partition", "rules", "system"),
    [
        pytest.param("Microsoft.Default", PatientRules("urn:x"), "urn:x", id="default partition"),
        pytest.param("Microsoft.Default", PatientRules("urn:x", partition_systems=PARTITIONS), "urn:d", id="named"),
        pytest.param("Clinic-A", PatientRules("urn:x", partition_systems=PARTITIONS), "urn:a", id="any case"),
        pytest.param("clinic-b", PatientRules("urn:x", partition_systems=PARTITIONS), None, id="not named"),
        pytest.param("clinic-b", PatientRules("urn:x"), None, id="none is named"),
        pytest.param("clinic-b", PatientRules(issuer_is_system=True), "urn:issuer", id="the issuer says"),
        pytest.param("clinic-a", PatientRules("urn:x", partition_systems=PARTITIONS), "urn:a", id="no issuer asked"),
    ],
)
def test_the_system_of_a_data_partition(partition, rules, system):
    said = Attributes(dataset(PatientID="1001", IssuerOfPatientID="urn:issuer"))
    if system is None:
        with pytest.raises(PermanentError, match="Patient__PartitionSystemIds") as raised:
            patient_identity(said, said, rules, partition)
        assert raised.value.code == "no-partition-system"
        assert "1001" not in str(raised.value)
    else:
        assert patient_identity(said, said, rules, partition).system == system


def test_an_issuer_that_is_missing_is_not_guessed_in_a_partition():
    rules = PatientRules("urn:x", issuer_is_system=True)
    with pytest.raises(PermanentError):
        patient_identity(ANYBODY, ANYBODY, rules, "clinic-b")
    named = PatientRules("urn:x", issuer_is_system=True, partition_systems=PARTITIONS)
    assert patient_identity(ANYBODY, ANYBODY, named, "clinic-a").system == "urn:a"


MOVED = by_identifier("Patient", "urn:new", "P1", ("", "urn:old"))


def test_a_patient_of_a_former_system_gets_the_identifier_of_now_beside_it():
    """What this app says of the identifier moves, what others say of the former one stays there."""
    ours = {"type": {"id": "dicom-type", "text": "MR"}, "assigner": {"display": "theirs"}}
    other = {"system": "urn:ssn", "value": "1"}
    stored = {"resourceType": "Patient", "identifier": [{"use": "usual", "value": "P1", **ours}, other]}
    laid = lay_patient(stored, MOVED, {})
    assert laid["identifier"] == [
        {"use": "usual", "value": "P1", "assigner": ours["assigner"]},
        other,
        {"system": "urn:new", "value": "P1", "type": ours["type"]},
    ]
    assert lay_patient(laid, MOVED, {}) == laid
    check_valid(laid)


def test_of_several_former_systems_the_newest_says_what_the_identifier_is():
    rows = [{"system": "urn:old", "value": "P1", "type": {"id": "dicom-type", "text": "MR"}}, {"value": "P1"}]
    laid = lay_patient({"resourceType": "Patient", "identifier": rows}, MOVED, {})
    assert laid["identifier"][2]["type"]["text"] == "MR"


@pytest.mark.parametrize(
    ("partition", "rules", "former"),
    [
        pytest.param("Microsoft.Default", PatientRules("urn:x"), ("",), id="configured"),
        pytest.param("clinic-a", PatientRules("urn:x", partition_systems=PARTITIONS), (), id="of a partition"),
        pytest.param("clinic-a", PatientRules("urn:a", partition_systems=PARTITIONS), ("",), id="partition shares it"),
        pytest.param("Microsoft.Default", PatientRules("urn:x", issuer_is_system=True), (), id="issuer"),
        pytest.param("Microsoft.Default", PatientRules("issuer", issuer_is_system=True), (), id="issuer of that name"),
    ],
)
def test_former_systems_are_those_of_the_configured_system(partition, rules, former):
    """A partition's or an issuer's PatientID is another person's under a former configured system."""
    said = Attributes(dataset(PatientID="P1", IssuerOfPatientID="issuer"))
    found = patient_identity(said, said, replace(rules, former_systems=("",)), partition)
    assert found.former_systems == former
