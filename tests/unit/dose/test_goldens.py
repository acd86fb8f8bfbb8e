"""Whole Observations of made-up reports: CT, biplane X-ray, mammography of both breasts, nuclear medicine."""

from shared.mapping.device import Equipment
from shared.mapping.dose.observations import DoseContent, DoseObservation
from tests.unit.dose.reports import (
    CT,
    MAMMOGRAPHY,
    STUDY,
    accumulated,
    code,
    container,
    ct_event,
    date_time,
    device,
    dose_report,
    event_uid,
    mapped,
    nuclear_report,
    num,
    person,
    plane,
    report_uid,
    summary,
    text,
    x_ray_event,
)

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
TYPES = "http://hl7.org/fhir/uv/radiation-dose-summary/CodeSystem/dicom-identifier-type"
ACSN = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN", "display": "Accession ID"}
UNKNOWN = {
    "type": "Practitioner",
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}],
}
ACCESSION = {"type": {"coding": [ACSN]}, "value": "ACC7"}
SUMMARY_CODE = {
    "coding": [
        {
            "system": "http://loinc.org",
            "code": "73569-6",
            "display": "Radiation exposure and protection information [Description] Document Diagnostic imaging",
        }
    ]
}
EVENT_CODE = {"coding": [{"system": DCM, "code": "113852", "display": "Irradiation Event"}]}


def identifier(kind, display, uid):
    coding = {"system": TYPES, "code": kind, "display": display}
    return {"type": {"coding": [coding]}, "system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


STUDY_IDENTIFIER = identifier("study-instance-uid", "Study Instance UID", STUDY)
PART_OF = [{"type": "ImagingStudy", "identifier": STUDY_IDENTIFIER}]


def sop(number=1):
    return identifier("sop-instance-uid", "SOP Instance UID", report_uid(number))


def event(number):
    return identifier("irradiation-event-uid", "Irradiation Event UID", event_uid(number))


def named(number, display, words=None, system=DCM):
    coding = {"coding": [{"system": system, "code": number, "display": display}]}
    return {"code": coding | ({"text": words} if words else {})}


def measured(number, display, value, unit, words=None):
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return named(number, display, words) | {"valueQuantity": quantity}


def procedure(system, number, display):
    coding = {"system": system, "code": number, "display": display}
    return named("121058", "Procedure reported") | {"valueCodeableConcept": {"coding": [coding]}}


def concept(number, display):
    return {"coding": [{"system": SCT, "code": number, "display": display}], "text": display}


def test_ct():
    report = dose_report(
        date_time("113809", "20210301094500.5+0100"),
        container("113811", num("113812", 2, "{events}"), num("113813", 77.27, "mGycm")),
        ct_event(1, code("123014", "SRT:T-D3000", meaning="Chest"), device("S2"), dlp=7),
        ct_event(2, dlp=None),
        person("Curie^Marie^^Dr", "113850", text("113871", "P-1")),
        procedure=CT,
        AccessionNumber="ACC7",
        Manufacturer="ACME",
        ManufacturerModelName="Ray",
        DeviceSerialNumber="S1",
    )
    equipment = Equipment("ACME", "Ray", "S2")
    performer = [{"type": "Practitioner", "display": "Dr Marie Curie", "identifier": {"value": "P-1"}}]
    common = {
        "basedOn": [{"type": "ServiceRequest", "identifier": ACCESSION}],
        "partOf": PART_OF,
        "status": "final",
        "performer": performer,
    }
    of_event = DoseObservation(
        "event",
        event_uid(1),
        common
        | {
            "identifier": [event(1), STUDY_IDENTIFIER, ACCESSION],
            "code": EVENT_CODE,
            "bodySite": concept("51185008", "Chest"),
            "valueString": "Mean CTDIvol: 0.7 mGy; DLP: 7 mGy.cm",
            "component": [measured("113830", "Mean CTDIvol", 0.7, "mGy"), measured("113838", "DLP", 7, "mGy.cm")],
        },
        equipment,
    )
    of_report = DoseObservation(
        "summary",
        report_uid(),
        common
        | {
            "identifier": [sop(), STUDY_IDENTIFIER, ACCESSION],
            "code": SUMMARY_CODE,
            "effectiveDateTime": "2021-03-01T09:45:00.5+01:00",
            "valueString": "Procedure reported: Computed Tomography X-Ray; CT Dose Length Product Total: 77.27 mGy.cm; "
            "Total Number of Irradiation Events: 2",
            "component": [
                procedure(SCT, "77477000", "Computed Tomography X-Ray"),
                measured("113813", "CT Dose Length Product Total", 77.27, "mGy.cm"),
                named("113812", "Total Number of Irradiation Events") | {"valueInteger": 2},
            ],
        },
        equipment,
        (event_uid(1),),
    )
    assert mapped(report) == DoseContent((of_event, of_report), {report_uid(): []})


def test_biplane():
    report = dose_report(
        accumulated(
            num("113722", "1.6e-005", "Gym2"),
            num("113725", 0.00252, "Gy"),
            num("113731", "12.00", "1"),
            acquisition_plane="113620",
        ),
        accumulated(
            num("113722", 0, "Gym2"), num("113725", 0, "Gy"), num("113730", 28, "s"), acquisition_plane="113621"
        ),
        x_ray_event(1, plane("113620"), date_time("111526", "20210301101154")),
        PerformingPhysicianName={"Alphabetic": "Roe^Jane"},
    )
    content = mapped(report, zone="+01:00")
    summary_code = {
        "identifier": [sop(), STUDY_IDENTIFIER],
        "partOf": PART_OF,
        "status": "final",
        "performer": [{"type": "Practitioner", "display": "Jane Roe"}],
        "code": SUMMARY_CODE,
        "effectiveDateTime": "2021-03-01T10:11:54+01:00",
        "valueString": "Procedure reported: Projection X-Ray; Dose Area Product Total, Plane A: 160 mGy.cm2; "
        "Dose (RP) Total, Plane A: 2.52 mGy; Total Number of Radiographic Frames, Plane A: 12; "
        "Dose Area Product Total, Plane B: 0 mGy.cm2; Dose (RP) Total, Plane B: 0 mGy; "
        "Total Fluoro Time, Plane B: 28 s",
        "component": [
            procedure(DCM, "113704", "Projection X-Ray"),
            measured("113722", "Dose Area Product Total", 160, "mGy.cm2", "Dose Area Product Total, Plane A"),
            measured("113725", "Dose (RP) Total", 2.52, "mGy", "Dose (RP) Total, Plane A"),
            named("113731", "Total Number of Radiographic Frames", "Total Number of Radiographic Frames, Plane A")
            | {"valueInteger": 12},
            measured("113722", "Dose Area Product Total", 0, "mGy.cm2", "Dose Area Product Total, Plane B"),
            measured("113725", "Dose (RP) Total", 0, "mGy", "Dose (RP) Total, Plane B"),
            measured("113730", "Total Fluoro Time", 28, "s", "Total Fluoro Time, Plane B"),
        ],
    }
    of_event = {
        "identifier": [event(1), STUDY_IDENTIFIER],
        "partOf": PART_OF,
        "status": "final",
        "performer": [{"type": "Practitioner", "display": "Jane Roe"}],
        "code": EVENT_CODE,
        "effectiveDateTime": "2021-03-01T10:11:54+01:00",
        "valueString": "Dose Area Product, Plane A: 10 mGy.cm2",
        "component": [measured("122130", "Dose Area Product", 10, "mGy.cm2", "Dose Area Product, Plane A")],
    }
    assert content == DoseContent(
        (
            DoseObservation("event", event_uid(1), of_event, None),
            DoseObservation("summary", report_uid(), summary_code, None, (event_uid(1),)),
        ),
        {report_uid(): []},
    )


def test_mammography_of_both_breasts():
    def dose(value, side):
        return num("111637", value, "mGy", code("SRT:G-C171", side))

    report = dose_report(
        accumulated(dose("1.28", "SRT:T-04020"), dose("0", "SRT:T-04030")),
        procedure=MAMMOGRAPHY,
        CompletionFlag="PARTIAL",
        SeriesDate="20210301",
    )
    found, findings = summary(report)
    name = "Accumulated Average Glandular Dose"
    assert findings == []
    assert found == DoseObservation(
        "summary",
        report_uid(),
        {
            "identifier": [sop(), STUDY_IDENTIFIER],
            "partOf": PART_OF,
            "status": "preliminary",
            "performer": [UNKNOWN],
            "code": SUMMARY_CODE,
            "effectiveDateTime": "2021-03-01",
            "valueString": "Procedure reported: Mammography; "
            "Accumulated Average Glandular Dose, right breast: 1.28 mGy; "
            "Accumulated Average Glandular Dose, left breast: 0 mGy",
            "component": [
                procedure(SCT, "71651007", "Mammography"),
                measured("111637", name, 1.28, "mGy", f"{name}, right breast"),
                measured("111637", name, 0, "mGy", f"{name}, left breast"),
            ],
        },
        None,
    )


def test_nuclear_medicine():
    report = nuclear_report(
        code(
            "SRT:F-61FDB",
            "SRT:C-B1031",
            code("SRT:C-10072", "SRT:C-111A1", meaning="^18^Fluorine"),
            meaning="Fluorodeoxyglucose F^18^",
        ),
        date_time("123003", "20210301104030"),
        num("113507", 394, "MBq"),
        num("123005", "2.5", "cm3"),
        code("SRT:G-C340", "SRT:G-D101", meaning="Intravenous route"),
    )
    components = [
        measured("113507", "Administered activity", 394, "MBq"),
        named("349358000", "Radiopharmaceuticals", system=SCT)
        | {"valueCodeableConcept": concept("35321007", "Fluorodeoxyglucose F^18^")},
        named("89457008", "Radioisotope", system=SCT) | {"valueCodeableConcept": concept("77004003", "^18^Fluorine")},
        measured("123005", "Radiopharmaceutical Volume", 2.5, "cm3"),
        named("410675002", "Route of administration", system=SCT)
        | {"valueCodeableConcept": concept("47625008", "Intravenous route")},
    ]
    common = {"partOf": PART_OF, "status": "final", "performer": [UNKNOWN], "effectiveDateTime": "2021-03-01"}
    of_event = common | {
        "identifier": [event(1), STUDY_IDENTIFIER],
        "code": EVENT_CODE,
        "valueString": "Administered activity: 394 MBq",
        "component": components[:1],
    }
    of_report = common | {
        "identifier": [sop(), STUDY_IDENTIFIER],
        "code": SUMMARY_CODE,
        "valueString": "Procedure reported: Radiopharmaceutical Administration; Administered activity: 394 MBq; "
        "Radiopharmaceuticals: Fluorodeoxyglucose F^18^; Radioisotope: ^18^Fluorine; "
        "Radiopharmaceutical Volume: 2.5 cm3; Route of administration: Intravenous route",
        "component": [procedure(DCM, "113502", "Radiopharmaceutical Administration"), *components],
    }
    assert mapped(report) == DoseContent(
        (
            DoseObservation("event", event_uid(1), of_event, None),
            DoseObservation("summary", report_uid(), of_report, None, (event_uid(1),)),
        ),
        {report_uid(): []},
    )
