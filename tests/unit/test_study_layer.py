"""What DICOM says of a study, laid over the stored ImagingStudy."""

from copy import deepcopy
from dataclasses import replace

import pytest

from shared.dicom.study import SeriesContent, StudyContent
from shared.dicom.values import Attributes
from shared.fhir.validation import check_valid
from shared.mapping.dicom_cast import mend_dicom_cast
from shared.mapping.provides import SERIES_ELEMENTS, STUDY_ELEMENTS
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import request_digest, requests_of, study_identity
from shared.mapping.study_layer import (
    Laid,
    keys_of,
    lay_study,
    new_study,
    without_our_part,
    without_series,
)
from shared.model import Finding
from tests.unit.datasets import CT, STUDY, instance_dataset, key

SOURCE = "https://dicom.example.org/"
LINKS = Links("Patient/p1", "Endpoint/e1")
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
OF_STUDY = {"StudyDescription": "CT head", "AccessionNumber": "ACC1", "StudyDate": "20210301"}
A, B, C = key(1, 1), key(1, 2), key(2, 1)
ENDPOINT = [{"reference": "Endpoint/e1"}]
THEIRS = {"uid": "1.9.1", "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"}}
FOREIGN_ENDPOINT = {"reference": "Endpoint/other"}


def _content(*datasets, newest=0, speaks=True):
    """These datasets; the one at `newest` speaks for the study, the first of each series for the series."""
    series = {}
    for row in datasets:
        uid, sop = row["0020000E"]["Value"][0], row["00080018"]["Value"][0]
        series.setdefault(uid, {})[sop] = row
    if not speaks:
        return StudyContent(series={uid: SeriesContent({}, rows) for uid, rows in series.items()})
    return StudyContent(
        dict.fromkeys(STUDY_ELEMENTS, datasets[newest]),
        {
            uid: SeriesContent(dict.fromkeys(SERIES_ELEMENTS, next(iter(rows.values()))), rows)
            for uid, rows in series.items()
        },
        frozenset(request_digest(STUDY, one) for one in requests_of(Attributes(datasets[newest]))),
        [datasets[newest]],
    )


def _instance(series=1, instance=1):
    return {
        "uid": key(series, instance).sop_instance_uid,
        "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"},
        "number": instance,
        "title": "CT Image",
    }


def _series(series=1, *instances):
    return {
        "uid": key(series).series_instance_uid,
        "number": series,
        "modality": {"system": DCM, "code": "CT"},
        "endpoint": ENDPOINT,
        "numberOfInstances": len(instances),
        "instance": [_instance(series, instance) for instance in instances],
    }


def _accession(number):
    return {"id": "dicom-accession-1", "type": ACSN, "value": number}


def _based_on(number):
    identifier = {"type": ACSN, "value": number}
    return [{"id": "dicom-basedOn-1", "type": "ServiceRequest", "identifier": identifier}]


def _study(*series, **elements):
    study = {
        "resourceType": "ImagingStudy",
        "meta": {"source": SOURCE},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}, _accession("ACC1")],
        "status": "available",
        "subject": {"reference": "Patient/p1"},
        "started": "2021-03-01",
        "basedOn": _based_on("ACC1"),
        "description": "CT head",
        "note": [{"text": "CT head"}],
        "endpoint": ENDPOINT,
        "modality": [{"system": DCM, "code": "CT"}],
        "numberOfSeries": len(series),
        "numberOfInstances": sum(row.get("numberOfInstances", 0) for row in series),
        "series": list(series),
    }
    study |= elements
    return {name: value for name, value in study.items() if value is not None}


def _lay(stored, content, gone=(), links=LINKS):
    return lay_study(stored, content, frozenset(gone), links, "")


NEW = new_study(study_identity(STUDY), SOURCE)


def test_new_study():
    content = _content(*(instance_dataset(1, number, **OF_STUDY) for number in (1, 2)))
    laid = _lay(NEW, content)
    assert laid == Laid(_study(_series(1, 1, 2)), {A: [], B: []})
    check_valid(laid.resource)


def test_series_and_instances_are_ordered_by_number_then_uid():
    rows = [
        instance_dataset(2, 2, **OF_STUDY),
        instance_dataset(2, 1),
        instance_dataset(1, 3, InstanceNumber=None),
        instance_dataset(1, 2),
        instance_dataset(1, 1, InstanceNumber=9),
    ]
    laid = _lay(NEW, _content(*rows)).resource
    assert [instance.sop_instance_uid for instance in keys_of(laid)] == [
        key(1, 2).sop_instance_uid,
        key(1, 1).sop_instance_uid,
        key(1, 3).sop_instance_uid,
        key(2, 1).sop_instance_uid,
        key(2, 2).sop_instance_uid,
    ]


STORED = _study(_series(1, 1, 2))


@pytest.mark.parametrize(
    ("content", "gone", "expected"),
    [
        pytest.param(_content(instance_dataset(1, 1, **OF_STUDY)), [], STORED, id="nothing new"),
        pytest.param(
            _content(instance_dataset(1, 3), speaks=False), [], _study(_series(1, 1, 2, 3)), id="instance added"
        ),
        pytest.param(
            _content(instance_dataset(2, 1), instance_dataset(1, 1, **OF_STUDY), newest=1),
            [],
            _study(_series(1, 1, 2), _series(2, 1)),
            id="series added",
        ),
        pytest.param(StudyContent(), [A], _study(_series(1, 2)), id="instance removed"),
        pytest.param(StudyContent(), [A, B], None, id="last instance removed"),
        pytest.param(StudyContent(), [C], STORED, id="gone, and never there"),
        pytest.param(
            _content(instance_dataset(2, 1), speaks=False),
            [A, B],
            _study(
                {
                    "uid": C.series_instance_uid,
                    "endpoint": ENDPOINT,
                    "numberOfInstances": 1,
                    "instance": [_instance(2, 1)],
                },
                modality=None,
            ),
            id="series removed, another without a speaker",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY | {"StudyDescription": "CT neck"})),
            [],
            _study(_series(1, 1, 2), description="CT neck", note=[{"text": "CT neck"}]),
            id="StudyDescription changed: the note is replaced",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY | {"StudyDescription": None})),
            [],
            _study(_series(1, 1, 2), description=None, note=None),
            id="StudyDescription emptied: the note is removed",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY | {"AccessionNumber": "ACC2"})),
            [],
            _study(
                _series(1, 1, 2),
                identifier=[STORED["identifier"][0], _accession("ACC2")],
                basedOn=_based_on("ACC2"),
            ),
            id="AccessionNumber corrected",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY | {"AccessionNumber": None})),
            [],
            _study(_series(1, 1, 2), identifier=[STORED["identifier"][0]], basedOn=None),
            id="AccessionNumber emptied",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY | {"StudyDate": "never"})),
            [],
            _study(_series(1, 1, 2), started=None),
            id="StudyDate invalid",
        ),
        pytest.param(
            _content(instance_dataset(1, 1, **OF_STUDY, Modality="MR", SeriesNumber=None)),
            [],
            _study(
                {name: value for name, value in _series(1, 1, 2).items() if name != "number"}
                | {"modality": {"system": DCM, "code": "MR"}},
                modality=[{"system": DCM, "code": "MR"}],
            ),
            id="Modality changed, SeriesNumber emptied",
        ),
        pytest.param(
            _content(instance_dataset(1, 2, InstanceNumber=None), speaks=False),
            [],
            _study(
                _series(1, 1, 2)
                | {
                    "instance": [
                        _instance(1, 1),
                        {name: value for name, value in _instance(1, 2).items() if name != "number"},
                    ]
                }
            ),
            id="InstanceNumber emptied",
        ),
    ],
)
def test_change_of_a_stored_study(content, gone, expected):
    before = deepcopy(STORED)
    laid = _lay(STORED, content, gone).resource
    assert laid == expected
    assert before == STORED
    assert laid is None or _lay(laid, content, gone).resource == laid


@pytest.mark.parametrize(
    ("stored", "links", "expected"),
    [
        pytest.param({"reference": "Patient/p1"}, "Patient/p1", {"reference": "Patient/p1"}, id="same"),
        pytest.param(
            {"reference": "Patient/p1", "display": "Ana"},
            "Patient/p1",
            {"reference": "Patient/p1", "display": "Ana"},
            id="same, display of others",
        ),
        pytest.param(
            {"reference": "Patient/p1", "display": "Ana"}, "Patient/p2", {"reference": "Patient/p2"}, id="relinked"
        ),
        pytest.param({"reference": "Patient/p1"}, None, {"reference": "Patient/p1"}, id="stays as stored"),
    ],
)
def test_subject(stored, links, expected):
    laid = _lay(_study(_series(1, 1, 2), subject=stored), StudyContent(), links=Links(links, "Endpoint/e1"))
    assert laid.resource["subject"] == expected


def _foreign_series(uid="1.9.9", **elements):
    return {"uid": uid, "modality": {"system": DCM, "code": "US"}, "instance": [THEIRS | {"uid": "1.9.9.1"}]} | elements


def test_what_others_wrote_stays():
    foreign = {
        "id": "s1",
        "meta": {"source": "https://pacs.example.org/", "versionId": "3"},
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"},
            {"system": "urn:ris", "value": "ACC1", "type": ACSN},
            {"type": ACSN, "value": "ACC0"},
        ],
        "note": [{"text": "seen by Dr B"}, {"text": "CT head", "authorString": "Dr B"}],
        "endpoint": [FOREIGN_ENDPOINT],
        "encounter": {"reference": "Encounter/1"},
        "extension": [{"url": "urn:x", "valueString": "y"}],
        "description": None,
        "started": None,
        "basedOn": [{"reference": "ServiceRequest/1"}],
        "referrer": {"reference": "Practitioner/1"},
        "reasonCode": [{"text": "fall"}],
    }
    foreign_instance = THEIRS | {"number": 0, "title": "theirs"}
    shared = _series(1, 1) | {
        "endpoint": [FOREIGN_ENDPOINT],
        "laterality": {"code": "left"},
        "instance": [foreign_instance, _instance(1, 1)],
    }
    stored = _study(shared, _foreign_series(numberOfInstances=1), **foreign)
    laid = _lay(stored, _content(instance_dataset(1, 1, **OF_STUDY, ReferringPhysicianName="Ito"))).resource
    expected = _study(
        shared
        | {
            "endpoint": [FOREIGN_ENDPOINT, *ENDPOINT],
            "numberOfInstances": 2,
            "instance": [foreign_instance, _instance(1, 1)],
        },
        _foreign_series(numberOfInstances=1),
        **foreign
        | {
            "identifier": [*foreign["identifier"], _accession("ACC1")],
            "note": [*foreign["note"], {"text": "CT head"}],
            "endpoint": [FOREIGN_ENDPOINT, *ENDPOINT],
            "modality": [{"system": DCM, "code": "CT"}, {"system": DCM, "code": "US"}],
            "description": "CT head",
            "started": "2021-03-01",
            "basedOn": [{"reference": "ServiceRequest/1"}, *_based_on("ACC1")],
        },
    )
    assert laid == expected
    check_valid(laid)
    assert _lay(laid, _content(instance_dataset(1, 1, **OF_STUDY, ReferringPhysicianName="Ito"))).resource == laid


def test_series_of_others_keeps_the_study_when_ours_is_gone():
    stored = _study(_series(1, 1), _foreign_series(numberOfInstances=1))
    expected = _study(_foreign_series(numberOfInstances=1), modality=[{"system": DCM, "code": "US"}])
    assert _lay(stored, StudyContent(), [A]).resource == expected


def test_series_of_others_that_lists_no_instances_is_counted_as_it_says():
    theirs = {"uid": "1.9.9", "modality": {"system": DCM, "code": "US"}}
    modality = [{"system": DCM, "code": "CT"}, {"system": DCM, "code": "US"}]
    for counted, total in (({}, 1), ({"numberOfInstances": 40}, 41)):
        stored = _study(_series(1, 1), theirs | counted)
        expected = _study(_series(1, 1), theirs | counted, modality=modality, numberOfInstances=total)
        assert _lay(stored, StudyContent()).resource == expected


def test_instance_of_others_keeps_the_series_when_ours_is_gone():
    theirs = THEIRS | {"number": 5}
    stored = _study(_series(1, 1) | {"instance": [_instance(1, 1), theirs], "numberOfInstances": 2})
    expected = _study(_series(1, 1) | {"instance": [theirs]})
    assert _lay(stored, StudyContent(), [A]).resource == expected


def test_series_of_others_keeps_nothing_of_this_app_when_its_last_instance_is_gone():
    theirs = THEIRS | {"number": 5}
    marked = {"id": f"dicom-{A.series_instance_uid}-performer-1", "actor": {"display": "Ann Op"}}
    performers = [{"actor": {"display": "theirs"}}, marked]
    shared = _series(1, 1) | {"instance": [_instance(1, 1), theirs], "numberOfInstances": 2, "performer": performers}
    stored = _study(shared | {"endpoint": [FOREIGN_ENDPOINT, *ENDPOINT]}, _series(2, 1))
    laid = lay_study(stored, StudyContent(), {A}, LINKS, "", in_dicom={C.series_instance_uid}).resource
    assert laid["series"][0] == _series(1) | {
        "instance": [theirs],
        "numberOfInstances": 1,
        "performer": performers[:1],
        "endpoint": [FOREIGN_ENDPOINT],
    }
    assert laid["series"][1] == _series(2, 1)


@pytest.mark.parametrize(
    ("rows", "modalities"),
    [
        pytest.param(["CT", "CT"], ["CT"], id="one"),
        pytest.param(["US", "CT"], ["CT", "US"], id="two, ordered"),
    ],
)
def test_modality_of_the_study_is_the_set_of_its_series(rows, modalities):
    datasets = [instance_dataset(number, 1, Modality=code) for number, code in enumerate(rows, start=1)]
    assert _lay(NEW, _content(*datasets)).resource["modality"] == [{"system": DCM, "code": code} for code in modalities]


def test_findings_are_those_of_each_instance():
    rows = [
        instance_dataset(1, 1, StudyDate="never", SeriesNumber="x"),
        instance_dataset(1, 2, StudyDate="never", InstanceNumber=-1),
    ]
    assert _lay(NEW, _content(*rows)).findings == {
        A: [Finding("StudyDate", "invalid-date"), Finding("SeriesNumber", "invalid-integer")],
        B: [Finding("InstanceNumber", "out-of-range")],
    }


def test_without_our_part():
    theirs = {"text": "theirs", "authorString": "Dr B"}
    stored = _study(_series(1, 1), endpoint=[FOREIGN_ENDPOINT, *ENDPOINT])
    stored["note"] = [theirs, *stored["note"]]
    left = without_our_part(without_series(stored), "Endpoint/e1")
    expected = _study(
        endpoint=[FOREIGN_ENDPOINT], series=None, modality=None, numberOfSeries=0, numberOfInstances=0, note=[theirs]
    )
    for name in ("started", "description", "basedOn"):
        expected.pop(name, None)
    expected["identifier"] = [row for row in expected["identifier"] if row.get("system")]
    assert left == expected
    assert len(stored["series"]) == 1


def test_modality_of_others_stays():
    theirs = {"system": "http://snomed.info/sct", "code": "77477000"}
    laid = _lay(_study(_series(1, 1), modality=[theirs]), _content(instance_dataset(1, 1, **OF_STUDY))).resource
    assert theirs in laid["modality"]
    assert len(laid["modality"]) == 2


def _cast(**elements):
    """An ImagingStudy as DICOM Cast left it."""
    series = _series(1, 1)
    series["modality"] = {"system": "DCM", "code": "CT"}
    series["instance"] = [{"uid": A.sop_instance_uid, "sopClass": {"code": CT}, "number": 1}]
    del series["numberOfInstances"]
    notes = [{"text": "CT haed"}, {"text": "CT head"}]
    study = _study(
        series, description=None, note=notes, modality=[{"system": "DCM", "code": "CT"}], numberOfInstances=None
    )
    return study | elements


def test_study_of_dicom_cast_becomes_ours():
    content = _content(instance_dataset(1, 1, **OF_STUDY))
    laid = _lay(mend_dicom_cast(_cast()), content).resource
    # an old description cannot be told from a remark that somebody wrote: it stays
    assert laid == _study(_series(1, 1), note=[{"text": "CT haed"}, {"text": "CT head"}])


def test_mending_changes_nothing_of_its_argument_and_needs_to_be_done_once():
    stored, before = _cast(), _cast()
    mended = mend_dicom_cast(stored)
    assert stored == before
    assert mend_dicom_cast(mended) == mended


@pytest.mark.parametrize(
    ("sop_class", "mended"),
    [
        pytest.param({"code": CT}, {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"}, id="bare UID"),
        pytest.param({"code": f"urn:oid:{CT}"}, {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"}, id="urn:oid"),
        pytest.param({"system": "urn:y", "code": "z"}, {"system": "urn:y", "code": "z"}, id="with a system: of others"),
        pytest.param({}, {}, id="empty"),
    ],
)
def test_sop_class_of_dicom_cast(sop_class, mended):
    series = {"uid": "1", "instance": [{"uid": "2", "sopClass": sop_class}]}
    assert mend_dicom_cast({"series": [series]})["series"][0]["instance"][0]["sopClass"] == mended


@pytest.mark.parametrize(
    ("system", "mended"), [("DCM", DCM), (DCM, DCM), ("urn:y", "urn:y")], ids=["bare word", "URI", "of others"]
)
def test_modality_of_dicom_cast(system, mended):
    series = {"uid": "1", "modality": {"system": system, "code": "CT"}}
    assert mend_dicom_cast({"series": [series]})["series"][0]["modality"]["system"] == mended


def test_notes_of_others_survive_the_mending():
    theirs = {"text": "CT head", "authorString": "Dr B"}
    assert mend_dicom_cast(_cast(note=[{"text": "CT head"}, theirs]))["note"] == [{"text": "CT head"}, theirs]


def test_notes_beside_a_description_are_not_those_of_dicom_cast():
    stored = _study(_series(1, 1), note=[{"text": "theirs"}, {"text": "CT head"}])
    assert mend_dicom_cast(stored) == stored


@pytest.mark.parametrize(
    ("stored", "keys"),
    [
        pytest.param(None, [], id="no study"),
        pytest.param({}, [], id="no series"),
        pytest.param({"series": [{"uid": "1"}]}, [], id="series without instances"),
        pytest.param(_study(_series(1, 1, 2), _series(2, 1)), [A, B, C], id="two series"),
    ],
)
def test_keys_of_a_stored_study(stored, keys):
    assert keys_of(stored) == keys


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"status": None}, id="no status"),
        pytest.param({"identifier": [*NEW["identifier"], {"type": ACSN}]}, id="accession number without a value"),
        pytest.param({"identifier": [{"system": "urn:dicom:uid"}, *NEW["identifier"]]}, id="UID without a value"),
    ],
)
def test_a_stored_study_that_lacks_something_is_completed(odd):
    stored = {name: value for name, value in {**_study(_series(1, 1)), **odd}.items() if value is not None}
    laid = _lay(stored, replace(_content(instance_dataset(1, 1, **OF_STUDY)), requests=None)).resource
    assert laid["status"] == "available"
    assert [row["identifier"]["value"] for row in laid["basedOn"]] == ["ACC1"]


def test_images_say_nothing_of_a_series_whose_values_another_source_provides():
    stored = _study({**_series(1, 1), "laterality": {"id": f"dicom-{A.series_instance_uid}-laterality", "code": "x"}})
    dataset = instance_dataset(1, 2, ImageLaterality="L")
    content = StudyContent(series={B.series_instance_uid: SeriesContent({}, {B.sop_instance_uid: dataset})})
    assert _lay(stored, content).resource["series"][0]["laterality"] == stored["series"][0]["laterality"]
