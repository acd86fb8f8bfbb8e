"""Which element a server refuses, in the words of each server, and entries without it."""

import pytest

from shared.fhir.bundle import Entry
from shared.fhir.identifiers import by_identifier
from shared.fhir.outcome import issues_of
from shared.fhir.refusal import keys_in, named_elements, optional_elements, path_of, paths_in, without
from shared.fhir.systems import URI
from shared.mapping.optional import OPTIONAL

MICROSOFT = (
    "Error occurred when parsing model: 'Type checking the data: Literal 'x' cannot be parsed as a dateTime. (at "
)
MICROSOFT_ENTRY = "Transaction failed on 'POST' for the requested url '/Patient'."
MICROSOFT_POCO = (
    "Error occurred when parsing model: 'While building a POCO: Literal 'mm' is not valid (at Resource.gender[0])'."
)
MICROSOFT_NUMBER = "Input string '1e+30' is not a valid decimal. Path 'entry[2].resource.series[1].number', line 1."
HAPI = (
    'HAPI-0450: Failed. Error was: HAPI-1821: [element="birthDate"] Invalid attribute value "1970-02-30": Invalid date'
)
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"value": "1", "assigner": {"display": "x"}}],
    "birthDate": "1970-02-30",
    "gender": "mm",
    "name": [{"family": "theirs"}, {"family": "ours"}],
}
STUDY = {
    "resourceType": "ImagingStudy",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1"}],
    "status": "available",
    "started": "2021-03-01T10:11:60Z",
    "series": [
        {"uid": "1.1", "modality": {"code": "CT"}, "started": "a", "instance": [{"uid": "1.1.1", "number": 5}]},
        {
            "uid": "1.2",
            "number": 3,
            "modality": {"code": "MR"},
            "started": "b",
            "performer": [{"actor": {"display": "theirs"}}, {"id": "dicom-1.2-1", "actor": {"display": "ours"}}],
        },
    ],
}
DEVICE = {
    "resourceType": "Device",
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
    "version": [{}],
}
ANY = by_identifier("Patient", "", "1")
ENTRIES = [
    Entry.create(by_identifier("Device", "urn:ietf:rfc:3986", "urn:uuid:1"), DEVICE),
    Entry.create(by_identifier("Patient", "", "1"), PATIENT),
    Entry.create(by_identifier("ImagingStudy", "urn:dicom:uid", "urn:oid:1"), STUDY),
]


def named(*texts, expression=(), location=()):
    issues = [{"severity": "error", "code": "invalid", "diagnostics": text} for text in texts]
    paths = {"expression": list(expression), "location": list(location)}
    issues += [{"severity": "error", "code": "structure", **paths}] if expression or location else []
    return named_elements(ENTRIES, issues_of({"issue": issues}))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            named(f"{MICROSOFT}Resource.entry[2].resource[0].started[0])'."), {"ImagingStudy.started"}, id="Microsoft"
        ),
        pytest.param(
            named(f"{MICROSOFT}Resource.entry[2].resource[0].series[1].started[0])'."),
            {"ImagingStudy.series[1.2].started"},
            id="Microsoft, of a series",
        ),
        pytest.param(
            named(
                f"{MICROSOFT}Resource.entry[2].resource[0].started[0])'.",
                f"{MICROSOFT}Resource.entry[1].resource[0].birthDate[0])'.",
            ),
            {"ImagingStudy.started", "Patient.birthDate"},
            id="Microsoft, two",
        ),
        pytest.param(named(MICROSOFT_ENTRY, MICROSOFT_POCO), {"Patient.gender"}, id="Microsoft, of one entry"),
        pytest.param(named(MICROSOFT_NUMBER), {"ImagingStudy.series[1.2].number"}, id="Microsoft, a number"),
        pytest.param(named(HAPI), {"Patient.birthDate"}, id="HAPI"),
        pytest.param(
            named(expression=["ImagingStudy.series[1].number"]), {"ImagingStudy.series[1.2].number"}, id="Medplum"
        ),
        pytest.param(named(location=["Bundle.entry[1].resource.birthDate"]), {"Patient.birthDate"}, id="location"),
        pytest.param(
            named(expression=["ImagingStudy.series[1].performer[1].actor.display"]),
            {"ImagingStudy.series[1.2].performer[dicom-1.2-1].actor.display"},
            id="below a list item",
        ),
        pytest.param(named(expression=["Device.version[0]"]), {"Device(urn:uuid:1).version[0]"}, id="Device"),
        pytest.param(named("The content is not valid"), set(), id="no element"),
        pytest.param(named(expression=["ImagingStudy.foo", "Bundle", "/f:Patient", ""]), set(), id="what is not there"),
        pytest.param(named(f"{MICROSOFT}Resource.entry[9].resource[0].started[0])'."), set(), id="no such entry"),
    ],
)
def test_named(names, expected):
    assert names == expected


def test_what_could_be_of_several_names_none():
    assert (
        named_elements(
            [*ENTRIES, ENTRIES[0]], issues_of({"issue": [{"code": "x", "expression": ["Device.version[0]"]}]})
        )
        == set()
    )


@pytest.mark.parametrize(
    ("name", "outer"),
    [
        ("ImagingStudy.started", "ImagingStudy.started"),
        ("ImagingStudy.series[1.2].started", "ImagingStudy.series[1.2].started"),
        ("ImagingStudy.series[1.1].instance[1.1.1].number", "ImagingStudy.series[1.1].instance[1.1.1].number"),
        (
            "ImagingStudy.series[1.2].performer[dicom-1.2-1].actor.display",
            "ImagingStudy.series[1.2].performer[dicom-1.2-1]",
        ),
        ("Patient.identifier[0].assigner.display", "Patient.identifier[0].assigner"),
        ("Device(urn:uuid:1).version[0]", "Device(urn:uuid:1).version[0]"),
        ("ImagingStudy.status", None),
        ("ImagingStudy.identifier[0].value", None),
        ("ImagingStudy.series[1.2].modality.code", None),
        ("ImagingStudy.series[1.2].uid", None),
        ("Patient.identifier[0].value", None),
        ("Patient.telecom", None),
    ],
)
def test_only_what_may_be_missing_is_left_out(name, outer):
    assert optional_elements(ENTRIES, {name}, OPTIONAL) == ({outer} if outer else set())


def test_what_was_there_before_is_not_left_out():
    before = {**STUDY, "id": "1", "meta": {"versionId": "1"}, "description": "old", "started": "2021"}
    update = Entry.update({**before, "started": "new"}, before)
    theirs = "ImagingStudy.series[1.2].performer[0]"
    assert optional_elements(
        [update], {theirs, "ImagingStudy.started", "ImagingStudy.description"}, OPTIONAL
    ) == set() | {"ImagingStudy.started"}
    assert without(update, {theirs, "ImagingStudy.description"}) == (update, [])


def test_without_an_element_and_list_items():
    left, gone = without(ENTRIES[2], {"ImagingStudy.started", "ImagingStudy.series[1.2].performer[dicom-1.2-1]"})
    assert set(gone) == {"ImagingStudy.started", "ImagingStudy.series[1.2].performer[dicom-1.2-1]"}
    second = {**STUDY["series"][1], "performer": STUDY["series"][1]["performer"][:1]}
    expected = {name: value for name, value in STUDY.items() if name != "started"}
    assert left.resource == {**expected, "series": [STUDY["series"][0], second]}
    assert without(ENTRIES[1], {"ImagingStudy.started"}) == (ENTRIES[1], [])


def test_the_mark_of_a_value_goes_with_it():
    before = {"resourceType": "ImagingStudy", "id": "1", "meta": {"versionId": "1"}, "status": "available"}
    update = Entry.update({**before, "started": "x", "_started": {"id": "dicom-started"}, "description": "d"}, before)
    left, _ = without(update, {"ImagingStudy.started"})
    assert left.resource == {**before, "description": "d"}


def test_a_name_without_places_stands_for_the_element_wherever_it_is():
    left, gone = without(ENTRIES[2], {"ImagingStudy.series.performer", "ImagingStudy.series.instance.number"})
    assert set(gone) == {"ImagingStudy.series.performer", "ImagingStudy.series.instance.number"}
    first, second = STUDY["series"]
    second = {name: value for name, value in second.items() if name != "performer"}
    assert left.resource["series"] == [{**first, "instance": [{"uid": "1.1.1"}]}, second]
    assert paths_in(ENTRIES, OPTIONAL) >= set(gone)


def test_what_others_wrote_stays_wherever_an_element_is_left_out():
    theirs, own = {"actor": {"display": "theirs"}}, {"id": "dicom-1", "actor": {"display": "ours"}}
    before = {**STUDY, "id": "1", "meta": {"versionId": "1"}, "series": [{"uid": "1.2", "performer": [theirs]}]}
    update = Entry.update({**before, "series": [{"uid": "1.2", "performer": [theirs, own]}], "started": "x"}, before)
    left, _ = without(update, {"ImagingStudy.series.performer", "ImagingStudy.series[1.2].performer[dicom-1]"})
    assert left.resource["series"] == [{"uid": "1.2", "performer": [theirs]}]


def test_several_items_of_one_list():
    resource = {"resourceType": "Patient", "name": [{"family": "a"}, {"family": "b"}, {"family": "c"}]}
    left, _ = without(Entry.create(ANY, resource), {"Patient.name[0]", "Patient.name[2]"})
    assert left.resource["name"] == [{"family": "b"}]
    left, _ = without(Entry.create(ANY, resource), {"Patient.name[0]", "Patient.name[1]", "Patient.name[2]"})
    assert "name" not in left.resource


def test_nothing_is_written_where_nothing_is_left():
    before = {**STUDY, "id": "1", "meta": {"versionId": "1"}}
    del before["started"]
    assert without(Entry.update({**before, "started": "x"}, before), {"ImagingStudy.started"}) == (
        None,
        ["ImagingStudy.started"],
    )


def test_path_and_keys_of_a_name():
    name = "ImagingStudy.series[1.2].instance[1.2.3].number"
    assert (path_of(name), keys_in(name)) == (
        "ImagingStudy.series.instance.number",
        {"series": "1.2", "instance": "1.2.3"},
    )
    assert path_of("Device(urn:uuid:1).version[0]") == "Device.version"


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param({"expression": [f"Bundle.entry[{'9' * 5000}].resource.started"]}, id="number of an entry"),
        pytest.param({"expression": [f"ImagingStudy.series[{'9' * 5000}].started"]}, id="number of an item"),
        pytest.param({"diagnostics": f"(at Resource.entry[{'9' * 5000}].resource[0].started[0])"}, id="in Microsoft's"),
        pytest.param({"diagnostics": '[element="started"] Invalid attribute value "' * 20_000}, id="HAPI's, repeated"),
        pytest.param({"expression": ["ImagingStudy" + ".a" * 500_000, "(a+)+$"]}, id="a long path"),
    ],
)
def test_an_absurd_refusal_names_nothing(outcome):
    """Some of these once raised, or took hours of the event loop."""
    assert named_elements(ENTRIES, issues_of({"issue": [{"code": "invalid", **outcome}]})) == set()


def test_a_refusal_of_very_many_issues_is_read_as_far_as_it_helps():
    issue = {"code": "invalid", "diagnostics": HAPI, "expression": ["Bundle.entry[2].resource.started"] * 100}
    names = named_elements(ENTRIES, issues_of({"issue": [issue] * 100_000}))
    assert names == {"Patient.birthDate", "ImagingStudy.started"}


def test_names_hold_no_identifier_or_id_of_others():
    theirs = "https://hospital.example.org/ZZID77?name=ZZFAMILY"
    observation = {
        "resourceType": "Observation",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2"}, {"system": URI, "value": theirs}],
        "performer": [{"id": "ZZFAMILY", "display": "x"}],
    }
    study = {"resourceType": "ImagingStudy", "series": [{"uid": "ZZFAMILY", "started": "x"}]}
    entries = [Entry("POST", "Observation", observation), Entry("POST", "ImagingStudy", study)]
    paths = ["Observation.performer[0].display", "ImagingStudy.series[0].started"]
    names = named_elements(entries, issues_of({"issue": [{"code": "invalid", "expression": paths}]}))
    assert names == {"Observation(urn:oid:1.2).performer[0].display", "ImagingStudy.series[0].started"}
    assert [without(entry, names)[1] for entry in entries] == [[name] for name in sorted(names, reverse=True)]
