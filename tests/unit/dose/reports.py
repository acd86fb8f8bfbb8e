"""Made-up radiation dose reports in the DICOM JSON model, item by item.

A concept is written as `113813` (DCM) or `SRT:G-C171`; the meaning is made up, since nothing may depend on it.
"""

from shared.fhir.validation import check_valid
from shared.mapping.dose.observations import map_reports
from tests.builders import study_uid
from tests.unit.datasets import codes, dataset

STUDY = study_uid(7)
X_RAY_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
NUCLEAR_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.68"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
CT, PROJECTION, MAMMOGRAPHY = "SRT:P5-08000", "113704", "SRT:P5-40010"


def report_uid(number=1):
    return f"{STUDY}.1.{number}"


def event_uid(number):
    return f"{STUDY}.2.{number}"


def coded(concept, meaning="meaning", **attributes):
    scheme, _, code = concept.rpartition(":")
    return dataset(CodeValue=code, CodingSchemeDesignator=scheme or "DCM", CodeMeaning=meaning, **attributes)


def item(value_type, concept, *children, **attributes):
    found = dataset(
        RelationshipType="CONTAINS",
        ValueType=value_type,
        ConceptNameCodeSequence=[coded(concept)],
        **attributes,
    )
    return found | (dataset(ContentSequence=list(children)) if children else {})


def container(concept, *children):
    return item("CONTAINER", concept, *children)


def num(concept, value, unit="mGy", *children, scheme="UCUM"):
    values = value if isinstance(value, list) else [value]
    measured = dataset(NumericValue=values, MeasurementUnitsCodeSequence=[coded(f"{scheme}:{unit}", unit)])
    return item("NUM", concept, *children, MeasuredValueSequence=[measured])


def empty_num(concept):
    return item("NUM", concept, MeasuredValueSequence=[])


def code(concept, value, *children, meaning="meaning"):
    return item("CODE", concept, *children, ConceptCodeSequence=[coded(value, meaning)])


def text(concept, value, *children):
    return item("TEXT", concept, *children, TextValue=value)


def uid(concept, value):
    return item("UIDREF", concept, UID=value)


def date_time(concept, value):
    return item("DATETIME", concept, DateTime=value)


def person(name, role="113850", *children, value_type="PNAME"):
    roles = [code("113875", role)] if role else []
    return item(value_type, "113870", *roles, *children, PersonName={"Alphabetic": name})


def device(serial_number=None, manufacturer="ACME", model="Ray", concept="113859"):
    described = [text("113878", manufacturer), text("113879", model)]
    if serial_number:
        described.append(text("113880", serial_number))
    return code("113876", concept, *described)


def plane(concept):
    return code("113764", concept)


def dose_report(*children, title="113701", procedure=PROJECTION, number=1, **attributes):
    """A report of study 7 with what is the same in all."""
    values = {
        "SOPClassUID": X_RAY_DOSE_SR,
        "SOPInstanceUID": report_uid(number),
        "StudyInstanceUID": STUDY,
        "CompletionFlag": "COMPLETE",
        "ContentDate": "20210301",
        "ContentTime": f"10{number:02d}00",
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [coded(title)],
        "ContentSequence": [*([code("121058", procedure)] if procedure else []), *children],
    }
    return dataset(**(values | attributes))


def ct_event(number, *children, dlp=10):
    dose = [container("113829", num("113830", dlp / 10), num("113838", dlp, "mGy.cm"))] if dlp is not None else []
    return container("113819", uid("113769", event_uid(number)), *dose, *children)


def x_ray_event(number, *children, dap="0.000001"):
    return container("113706", uid("113769", event_uid(number)), num("122130", dap, "Gy.m2"), *children)


def ct_report(events, total=10, number=1, **attributes):
    """A report of CT with these events, and the total that it claims."""
    totals = container("113811", num("113812", len(events), "{events}"), num("113813", total, "mGy.cm"))
    return dose_report(totals, *map(ct_event, events), procedure=CT, number=number, **attributes)


def accumulated(*children, acquisition_plane="113622"):
    return container("113702", plane(acquisition_plane), *children)


def nuclear_report(*children, event=1, number=1, **attributes):
    administration = container("113502", uid("113503", event_uid(event)), *children)
    return dose_report(
        administration,
        title="113500",
        procedure=None,
        number=number,
        SOPClassUID=NUCLEAR_DOSE_SR,
        **attributes,
    )


def mapped(*reports, zone="", with_events=True):
    """What is made of the reports, every Observation of it checked against R4."""
    content = map_reports(reports, STUDY, zone, with_events=with_events)
    for observation in content.observations:
        check_valid(resource(observation))
    return content


def resource(observation):
    """The Observation as it may be sent."""
    return {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        **({"device": {"reference": "Device/1"}} if observation.equipment else {}),
        **observation.elements,
    }


def summary(*reports, **settings):
    """The only summary of the reports, and findings as (keyword, code)."""
    content = mapped(*reports, **settings)
    (found,) = [observation for observation in content.observations if observation.kind == "summary"]
    return found, codes(content.findings[found.uid])


def events(*reports, **settings):
    content = mapped(*reports, **settings)
    return {observation.uid: observation for observation in content.observations if observation.kind == "event"}


def quantities(observation):
    """(code, text, value, unit) of the components that are quantities or counts."""
    found = []
    for component in observation.elements.get("component", []):
        if "valueCodeableConcept" not in component:
            one = component["code"]
            measured = component.get("valueQuantity", {})
            value = measured.get("value", component.get("valueInteger"))
            found.append((one["coding"][0]["code"], one.get("text"), value, measured.get("code")))
    return found
