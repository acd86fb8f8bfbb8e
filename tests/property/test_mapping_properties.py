"""What holds of the mapping whatever a dataset says: it goes on, and what it makes is valid and always the same."""

import json
import re
from copy import deepcopy
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from shared.dicom.study import Truth
from shared.dicom.values import Attributes, tag_of
from shared.fhir.validation import check_valid
from shared.mapping.device import device_identity, new_device
from shared.mapping.dose import codes
from shared.mapping.dose.observations import map_reports
from shared.mapping.observation_layer import DoseLinks, lay_observation
from shared.mapping.patient import PatientRules, demographics, lay_patient, patient_identity
from shared.mapping.provides import provided
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import lacks, study_identity
from shared.mapping.study_layer import equipment_by_series, findings_of, lay_study, new_study
from shared.sync.delta import Before, study_delta
from tests.property.mutilation import ATTRIBUTES, JUNK, TOP, mutilated
from tests.unit.datasets import STUDY, dataset, instance_dataset, key
from tests.unit.dose import reports

ROOT = Path(__file__).resolve().parents[2]
LAW = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
NEW = new_study(study_identity(STUDY), "https://dicom.example.org/")
KEYS = [key(1, 1), key(1, 2), key(2, 1)]
ZONES = st.sampled_from(("", "+01:00", "-0330", "Asia/Tokyo", "America/New_York"))
PLAIN = instance_dataset()
REQUIRED = ("PatientID", "SOPClassUID")
GOLDENS = [
    row for path in sorted((ROOT / "tests" / "golden").glob("*.dicom.json")) for row in json.loads(path.read_text())
]
UID_TAGS = [tag_of(keyword) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]


def _identified(said, instance):
    """A dataset as that of an instance of study 1, with what nothing can be mapped without."""
    series, number = int(instance.series_instance_uid.rpartition(".")[2]), int(instance[1].rpartition(".")[2])
    own = instance_dataset(series, number)
    kept = {tag: own[tag] for tag in UID_TAGS}
    required = {tag_of(keyword): PLAIN[tag_of(keyword)] for keyword in REQUIRED if lacks(Attributes(said)) is not None}
    return {**said, **required, **kept}


DATASETS = ATTRIBUTES | mutilated(GOLDENS)
STUDIES = st.fixed_dictionaries(dict.fromkeys(KEYS, DATASETS)).map(
    lambda rows: {instance: _identified(said, instance) for instance, said in rows.items()}
)


def _content(rows, zone):
    listed = {instance: sequence for sequence, instance in enumerate(KEYS, start=1)}
    delta = study_delta(Truth(rows, is_whole=True), provided(rows, zone), Before(listed=listed), final=True)
    return delta.content


def _links(content):
    equipment = dict.fromkeys(equipment_by_series(content).values())
    devices = {one: f"Device/{device_identity(one).key[:12]}" for one in equipment}
    return Links("Patient/p1", "Endpoint/e1", devices)


def _laid(rows, zone="", stored=NEW):
    content = _content(rows, zone)
    return lay_study(stored, content, (), _links(content), zone)


def _check(resource):
    """It may be sent: valid R4, and JSON in UTF-8."""
    check_valid(resource)
    json.dumps(resource, ensure_ascii=False, allow_nan=False).encode()


def _known_codes():
    page = (ROOT / "docs" / "operations.md").read_text()
    return set(re.findall(r"^\| `([a-z-]+)` \|", page[page.index("| code | the value was |") :], re.MULTILINE))


CODES = _known_codes()
DOSE_NAMES = {row.keyword for row in (*codes.X_RAY_TOTALS, *codes.NUCLEAR_TOTALS, *codes.EVENT_VALUES)}
DOSE_NAMES |= {*codes.EVENT_START.values(), "StartOfXRayIrradiation", "DeviceObserverUID"}


def _check_findings(found):
    for finding in found:
        assert finding.code in CODES
        assert tag_for_keyword(finding.keyword) is not None or finding.keyword in DOSE_NAMES
    assert len(set(found)) == len(found)


def test_every_kind_of_attribute_is_tried():
    assert len(TOP) > 50
    assert {"PatientName", "StudyDate", "ProcedureCodeSequence", "SoftwareVersions", "ImageType", "Modality"} <= {*TOP}


# --- ImagingStudy and Device ---------------------------------------------------------------------------------------


@LAW
@given(STUDIES, ZONES)
def test_whatever_is_said_a_valid_study_is_made(rows, zone):
    before = deepcopy(rows)
    laid = _laid(rows, zone)
    _check(laid.resource)
    assert laid.resource["numberOfInstances"] == len(KEYS)
    assert rows == before
    for found in laid.findings.values():
        _check_findings(found)
    assert laid == _laid(rows, zone)


@LAW
@given(STUDIES, st.permutations(KEYS))
def test_order_of_the_answer_is_not_seen(rows, order):
    assert _laid({instance: rows[instance] for instance in order}) == _laid(rows)


@LAW
@given(STUDIES)
def test_a_study_laid_over_itself_is_unchanged(rows):
    laid = _laid(rows)
    assert _laid(rows, stored=laid.resource) == laid


@LAW
@given(STUDIES, STUDIES)
def test_of_what_was_said_before_nothing_is_left(before, now):
    """What DICOM no longer says is gone, whatever it was."""
    assert _laid(now, stored=_laid(before).resource) == _laid(now)


FOREIGN_LISTS = {
    "identifier": {"system": "urn:ris", "value": "7", "assigner": {"display": "theirs"}},
    "note": {"text": "theirs", "authorString": "Dr B"},
    "extension": {"url": "urn:theirs", "valueString": "theirs"},
    "interpreter": {"display": "theirs"},
    "basedOn": {"reference": "ServiceRequest/theirs"},
    "procedureCode": {"text": "theirs"},
    "reasonCode": {"id": "theirs", "text": "theirs"},
    "endpoint": {"reference": "Endpoint/theirs"},
}
FOREIGN_ELEMENTS = {"encounter": {"reference": "Encounter/theirs"}, "language": "de"}
FOREIGN_INSTANCE = {"uid": "1.9.1", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.3"}, "number": 1}
MODALITY = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "XC"}
FOREIGN_SERIES = {"uid": "1.9", "modality": MODALITY, "numberOfInstances": 40}
FOREIGN_PERFORMER = {"actor": {"display": "theirs"}}


def _with_foreign(study):
    result = deepcopy(study) | FOREIGN_ELEMENTS
    for name, item in FOREIGN_LISTS.items():
        result[name] = [item, *result.get(name, [])]
    ours = result["series"][0]
    ours["instance"].insert(0, FOREIGN_INSTANCE)
    ours["performer"] = [*ours.get("performer", []), FOREIGN_PERFORMER]
    result["series"].append(FOREIGN_SERIES)
    return result


@LAW
@given(STUDIES, STUDIES)
def test_what_others_wrote_into_a_study_stays(before, now):
    stored = _with_foreign(_laid(before).resource)
    laid = _laid(now, stored=stored).resource
    check_valid(laid)
    ours = _laid(now).resource
    for name, item in FOREIGN_LISTS.items():
        assert laid[name].count(item) == 1
        assert [row for row in laid[name] if row != item] == ours.get(name, [])
    for name, value in FOREIGN_ELEMENTS.items():
        assert laid[name] == value
    series = {row["uid"]: row for row in laid["series"]}
    assert series.pop("1.9") == FOREIGN_SERIES
    with_theirs = series[stored["series"][0]["uid"]]
    assert FOREIGN_INSTANCE in with_theirs["instance"]
    assert FOREIGN_PERFORMER in with_theirs["performer"]
    assert MODALITY in laid["modality"]
    assert laid["numberOfInstances"] == ours["numberOfInstances"] + 41
    assert _laid(now, stored=laid).resource == laid


@LAW
@given(DATASETS, ZONES)
def test_findings_name_attributes_and_never_values(said, zone):
    found = findings_of(said, zone)
    _check_findings(found)
    assert findings_of(said, zone) == found


@LAW
@given(STUDIES)
def test_devices_are_valid_and_known_by_what_they_are(rows):
    for equipment in equipment_by_series(_content(rows, "")).values():
        device = new_device(equipment)
        _check(device)
        assert device_identity(equipment).matches(device)
        assert new_device(equipment) == device


# --- Patient -------------------------------------------------------------------------------------------------------

RULES = st.sampled_from((PatientRules(), PatientRules("urn:x"), PatientRules("urn:x", issuer_is_system=True)))
PATIENT_IDS = st.sampled_from(("MRN-0001", " MRN\0", "a|b,c$d\\", "\x1bX", 42, 1.5, "山田")).map(
    lambda value: dataset(PatientID=value)
)
PERSONS = st.tuples(DATASETS, PATIENT_IDS).map(lambda pair: pair[0] | pair[1])


def _patient(said, rules, stored=None):
    attributes = Attributes(said)
    identity = patient_identity(attributes, attributes, rules)
    result = lay_patient(stored, identity, demographics(attributes))
    assert identity.matches(result)
    assert identity.key
    _check_findings(attributes.findings)
    return result


@LAW
@given(PERSONS, RULES)
def test_whatever_is_said_a_valid_patient_is_made(said, rules):
    patient = _patient(said, rules)
    _check(patient)
    assert _patient(said, rules) == patient
    assert _patient(said, rules, patient) == patient


FOREIGN_NAMES = [{"use": "official", "family": "theirs"}, {"family": "theirs too"}]
FOREIGN_IDENTIFIER = {"system": "urn:theirs", "value": "7", "type": {"text": "theirs"}}
FOREIGN_PATIENT = {"telecom": [{"value": "555"}], "active": True, "extension": [{"url": "urn:t", "valueString": "t"}]}


@LAW
@given(PERSONS, PERSONS, RULES)
def test_what_others_wrote_into_a_patient_stays(before, now, rules):
    identity = [tag_of(one) for one in ("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence")]
    now = {tag: element for tag, element in now.items() if tag not in identity}
    now |= {tag: before[tag] for tag in identity if tag in before}
    stored = _patient(before, rules)
    stored |= FOREIGN_PATIENT | {"name": [*FOREIGN_NAMES, *stored.get("name", [])]}
    stored["identifier"] = [FOREIGN_IDENTIFIER, *stored["identifier"]]
    kept = deepcopy(stored)
    laid = _patient(now, rules, stored)
    check_valid(laid)
    assert stored == kept
    assert [name for name in laid["name"] if name.get("use") != "usual"] == FOREIGN_NAMES
    assert laid["identifier"][0] == FOREIGN_IDENTIFIER
    assert {name: laid[name] for name in FOREIGN_PATIENT} == FOREIGN_PATIENT
    assert _patient(now, rules, laid) == laid


# --- Observation ---------------------------------------------------------------------------------------------------

DOSE_REPORTS = [
    reports.ct_report([1, 2], number=1, AccessionNumber="ACC1", PerformingPhysicianName={"Alphabetic": "Ito^Ken"}),
    reports.ct_report([2, 3], number=2),
    reports.dose_report(
        reports.accumulated(reports.num("113722", "0.00012", "Gy.m2"), reports.num("113730", 90, "s")),
        reports.x_ray_event(1, reports.date_time("111526", "20210301101500.5+0100"), reports.code("123014", "T-D3000")),
        reports.device("SN1"),
        reports.person("Haddad^Samir"),
        reports.date_time("113809", "20210301101400"),
        number=3,
    ),
    reports.nuclear_report(
        reports.num("113507", 370, "MBq"),
        reports.code("SRT:F-61FDB", "SRT:C-B1031", reports.code("SRT:C-10072", "SRT:C-163A8")),
        reports.date_time("123003", "20210301093000"),
        number=4,
    ),
]
KEPT = [tag_of(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "ConceptNameCodeSequence")]
NUMBERS = st.sampled_from(
    (
        1.5,
        "1.5",
        0,
        "0",
        -1,
        "-1",
        "1e400",
        "1e-400",
        1e308,
        10**30,
        float("nan"),
        "NaN",
        "1,5",
        None,
        True,
        [1, "2"],
        [],
    )
)
UNITS = st.sampled_from(("mGy", "Gy", "mGy.cm", "Gy.m2", "{events}", "furlong", " ", "\x1b", "A  B"))


def _measured(concept):
    return st.builds(lambda value, unit: reports.num(concept, value, unit), NUMBERS, UNITS)


ODD_REPORTS = st.builds(
    lambda total, count, area, dlp, index: reports.dose_report(
        reports.container("113811", total, count),
        reports.accumulated(area),
        reports.ct_event(1, reports.container("113829", dlp, index), dlp=None),
        number=5,
    ),
    *map(_measured, ("113813", "113812", "113722", "113838", "113830")),
)
ANY_REPORTS = st.lists(ODD_REPORTS | mutilated(DOSE_REPORTS, keep=KEPT), min_size=1, max_size=3)
DOSE_LINKS = DoseLinks("https://dicom.example.org/", "ImagingStudy/1", "Patient/1")


def _uid(report):
    return report[tag_of("SOPInstanceUID")]["Value"][0]


def _observations(rows, zone, stored=None):
    content = map_reports(rows, reports.STUDY, zone, with_events=True)
    devices = {
        one.equipment: f"Device/{device_identity(one.equipment).key[:9]}"
        for one in content.observations
        if one.equipment
    }
    links = DoseLinks(DOSE_LINKS.source, DOSE_LINKS.study, DOSE_LINKS.subject, devices)
    targets = {uid: f"Observation/{uid}" for one in content.observations for uid in (one.uid, *one.members)}
    laid = {}
    for one in content.observations:
        base = (stored or {}).get((one.kind, one.uid))
        members = [targets[uid] for uid in one.members]
        laid[one.kind, one.uid] = lay_observation(base, one, links, members)
    return laid, content


def _components(observation):
    return observation.get("component", [])


@LAW
@given(ANY_REPORTS, ZONES)
def test_whatever_a_report_says_valid_observations_are_made(rows, zone):
    laid, content = _observations(rows, zone)
    assert {uid for kind, uid in laid if kind == "summary"} == {_uid(row) for row in rows}
    for observation in laid.values():
        _check(observation)
        values = [
            part.get("valueInteger", part.get("valueQuantity", {}).get("value")) for part in _components(observation)
        ]
        assert all(value is None or (value >= 0 and not isinstance(value, bool)) for value in values)
    for found in content.findings.values():
        _check_findings(found)
    again, same = _observations(rows, zone, laid)
    assert again == laid
    assert same == content


@LAW
@given(
    st.lists(mutilated(DOSE_REPORTS, keep=KEPT), min_size=2, max_size=4, unique_by=_uid).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    )
)
def test_order_of_reports_is_not_seen(rows_and_order):
    rows, order = rows_and_order
    assert _observations(order, "+01:00") == _observations(rows, "+01:00")


@LAW
@given(JUNK | st.dictionaries(st.text(max_size=8), JUNK, max_size=3))
def test_anything_else_is_no_report(row):
    assert map_reports([row], reports.STUDY, "", with_events=True).observations == ()
