"""One study, from DICOM to FHIR: created, grown, corrected, shrunk, removed."""

import json

from tests.builders import make_instance, make_series, series_uid, sop_uid, study_uid

ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


def endpoint(source):
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
        },
        "name": f"DICOM WADO-RS endpoint {source}",
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": source,
    }


PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"value": "MRN-0001"}],
    "name": [{"use": "usual", "family": "Rivera", "given": ["Ana", "Maria"], "prefix": ["Dr"], "suffix": ["Jr"]}],
    "gender": "female",
    "birthDate": "1970-01-02",
}


def imaging_study(source):
    return {
        "resourceType": "ImagingStudy",
        "source": source,
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid(1)}"},
            {"id": "dicom-accession-1", "type": ACSN, "value": "ACC1"},
        ],
        "status": "available",
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}],
        "subject": {"reference": "Patient MRN-0001"},
        "started": "2021-03-01T10:15:30+01:00",
        "basedOn": [{"id": "dicom-basedOn-1", "type": "ServiceRequest", "identifier": {"type": ACSN, "value": "ACC1"}}],
        "endpoint": [{"reference": f"Endpoint DICOM WADO-RS endpoint {source}"}],
        "numberOfSeries": 1,
        "numberOfInstances": 2,
        "note": [{"text": "CT head"}],
        "description": "CT head",
        "series": [
            {
                "uid": series_uid(1, 1),
                "number": 1,
                "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
                "description": "axial",
                "numberOfInstances": 2,
                "endpoint": [{"reference": f"Endpoint DICOM WADO-RS endpoint {source}"}],
                "instance": [
                    {
                        "uid": sop_uid(1, 1, number),
                        "sopClass": {
                            "system": "urn:ietf:rfc:3986",
                            "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2",
                        },
                        "number": number,
                        "title": "CT Image",
                    }
                    for number in (1, 2)
                ],
            }
        ],
    }


async def test_a_stored_study_becomes_its_resources(stack):
    await stack.store(*make_series(instances=2, TimezoneOffsetFromUTC="+0100"))
    assert await stack.drain() == {"created": 1}
    source = stack.dicom + "/"
    assert await stack.content() == sorted_content(endpoint(source), PATIENT, imaging_study(source))


def sorted_content(*resources):
    return sorted(resources, key=lambda one: json.dumps(one, sort_keys=True))


async def test_a_study_that_grows_in_bursts_equals_a_fresh_projection(stack, fresh_projection):
    for burst in range(1, 21):
        await stack.store(*(make_instance(1, 1 + burst % 3, burst * 10 + number) for number in range(burst)))
        await stack.drain()
        assert await stack.content() == await fresh_projection()


async def test_deletes_and_updates_equal_a_fresh_projection(stack, fresh_projection):
    await stack.store(*make_series(1, 1, 3), *make_series(1, 2, 12), *make_series(1, 3, 1), *make_series(2, 1, 1))
    await stack.drain()
    uid = study_uid(1)
    steps = [
        lambda: stack.delete(f"{uid}/series/{series_uid(1, 1)}/instances/{sop_uid(1, 1, 2)}"),
        lambda: stack.delete(f"{uid}/series/{series_uid(1, 2)}"),
        lambda: stack.bulk_update(uid, **{"00100020": {"vr": "LO", "Value": ["MRN-0002"]}}),
        lambda: stack.bulk_update(uid, **{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Lund^Bo"}]}}),
        lambda: stack.bulk_update(uid, **{"00081030": {"vr": "LO", "Value": ["CT neck"]}}),
        lambda: stack.delete(uid),
    ]
    for step in steps:
        await step()
        await stack.drain()
        fresh = await fresh_projection()
        assert [one for one in await stack.content() if one["resourceType"] != "Patient"] == [
            one for one in fresh if one["resourceType"] != "Patient"
        ]
        patients = [one for one in await stack.content() if one["resourceType"] == "Patient"]
        for patient in (one for one in fresh if one["resourceType"] == "Patient"):
            assert patient in patients


async def test_a_second_replay_of_the_feed_writes_nothing(stack):
    await stack.store(*make_series(1, 1, 12), *make_series(2, 1, 2), *make_series(3, 1, 1, PatientID="MRN-0002"))
    await stack.delete(study_uid(3))
    await stack.drain()
    before = await stack.versions()
    await stack.forget("SyncStateTable")
    outcomes = await stack.drain()
    assert set(outcomes) <= {"superseded", "unchanged"}
    assert await stack.versions() == before


async def test_a_message_that_comes_twice_asks_dicom_and_fhir_nothing(stack):
    """A host that ended leaves up to twelve of them, of which most were done."""
    await stack.store(*make_series(1, 1, 40))
    await stack.drain()
    await stack.store(make_instance(1, 1, 41))
    await stack.poll()
    texts = await stack.messages()
    assert await stack.run(*texts) == ["updated"]
    asked, versions = await stack.dicom_requests(), await stack.versions()
    assert await stack.run(*texts) == ["superseded"]
    assert (await stack.dicom_requests())["requests"] == asked["requests"]
    assert await stack.versions() == versions
