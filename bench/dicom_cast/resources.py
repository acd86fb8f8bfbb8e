"""What DICOM Cast writes, as the real one was seen to: one dataset at a time laid over what FHIR has.

A re-enactment to measure and to take over from, not a translation of its code. Of a dose report it writes the
Observations with the numbers that it finds, not every value that the real one knows.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Resource = dict[str, Any]
Dataset = dict[str, Any]
GENDERS = {"M": "male", "F": "female", "O": "other"}
CONNECTION_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "dicom-wado-rs"}
DCM, LOINC = "http://dicom.nema.org/resources/ontology/DCM", "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
SUMMARY = {"coding": [{"system": LOINC, "code": "73569-6"}], "text": "Radiation exposure and protection information"}
EVENT = {"coding": [{"system": DCM, "code": "113852"}], "text": "Irradiation Event"}
# concepts of measured values that it writes, wherever in a report or in an event they are
OF_REPORT, OF_EVENT = ("113722", "113813", "113830"), ("113830", "113838")
ACQUISITIONS, REGION = ("113819", "113706"), "123014"
DOSE_REPORTS = {"1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.68"}


def text(dataset: Dataset, tag: str) -> str | None:
    """The first value of an attribute."""
    values = dataset.get(tag, {}).get("Value") or [None]
    return None if values[0] is None else str(values[0])


def number(dataset: Dataset, tag: str) -> int | None:
    """The first value as a number."""
    value = text(dataset, tag)
    return int(float(value)) if value else None


class EndedError(Exception):
    """What ends the process of the real one; it comes to the same entry after each restart."""


def put(resource: Resource, name: str, value: Any) -> None:
    """An element, if there is anything to say."""
    if value not in (None, "", []):
        resource[name] = value


def endpoint(dicom: str) -> Resource:
    """The one Endpoint."""
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "name": f"DICOM WADO-RS endpoint {dicom}",
        "connectionType": CONNECTION_TYPE,
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": dicom,
    }


def patient(stored: Resource | None, dataset: Dataset, system: str) -> Resource:
    """Identifier, name, gender, birth date."""
    identifier = {"system": system, "value": text(dataset, "00100020")}
    result = deepcopy(stored) if stored else {"resourceType": "Patient", "identifier": [identifier]}
    name = dataset.get("00100010", {}).get("Value") or [{}]
    parts = (name[0].get("Alphabetic", "") + "^^^^").split("^")
    if any(parts):
        human: Resource = {"use": "usual"}
        put(human, "family", parts[0])
        put(human, "given", [part for part in parts[1:3] if part])
        put(human, "prefix", [part for part in parts[3:4] if part])
        put(human, "suffix", [part for part in parts[4:5] if part])
        result["name"] = [human]
    put(result, "gender", GENDERS.get(text(dataset, "00100040") or ""))
    born = text(dataset, "00100030")
    if born and len(born) == 8 and "birthDate" not in result:
        result["birthDate"] = f"{born[:4]}-{born[4:6]}-{born[6:]}"
    return result


def imaging_study(stored: Resource | None, dataset: Dataset, dicom: str, links: tuple[str, str]) -> Resource:
    """The whole study with this instance in it; the modality's system is the bare word DCM, SOP classes have none."""
    subject, where = links
    result = deepcopy(stored) if stored else _new_study(dicom, text(dataset, "0020000D") or "")
    result["subject"] = {"reference": subject}
    result["endpoint"] = [{"reference": where}]
    result["identifier"] += [one for one in _accession(dataset) if one not in result["identifier"]]
    put(result, "started", _started(dataset))
    if note := text(dataset, "00081030"):
        notes = result.setdefault("note", [])
        if {"text": note} not in notes:
            notes.append({"text": note})
    _lay_instance(_series(result, dataset, {"system": "DCM", "code": text(dataset, "00080060") or "OT"}), dataset)
    return result


def _new_study(dicom: str, uid: str) -> Resource:
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": dicom},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "status": "available",
    }


def without_instance(stored: Resource, series_uid: str, sop_uid: str) -> Resource | None:
    """The study without one instance; None when it was the last."""
    result = deepcopy(stored)
    for series in result.get("series", []):
        if series["uid"] == series_uid:
            series["instance"] = [row for row in series.get("instance", []) if row["uid"] != sop_uid]
    result["series"] = [series for series in result.get("series", []) if series.get("instance")]
    return result if result["series"] else None


def observations(dataset: Dataset, study: str, subject: str) -> list[Resource]:
    """Of a dose report: a summary and an Observation for each irradiation event, without any link between them."""
    if text(dataset, "00080016") not in DOSE_REPORTS:
        return []
    uid = {"system": "urn:dicom:uid", "value": f"urn:oid:{text(dataset, '0020000D')}"}
    summary = {
        "resourceType": "Observation",
        "identifier": [uid, *_accession(dataset)],
        "partOf": [{"reference": study}],
        "status": "preliminary",
        "code": SUMMARY,
        "subject": {"reference": subject},
    }
    put(summary, "component", _measured(dataset, OF_REPORT))
    return [summary, *(_event(item, uid, subject) for item in _items(dataset) if _concept(item)[0] in ACQUISITIONS)]


def _event(item: Dataset, uid: Resource, subject: str) -> Resource:
    event = {
        "resourceType": "Observation",
        "identifier": [uid],
        "status": "preliminary",
        "code": EVENT,
        "subject": {"reference": subject},
    }
    for inner in _items(item):
        if _concept(inner)[0] == REGION and text(inner, "0040A040") == "CODE":
            event["bodySite"] = _body_site(inner)
    put(event, "component", _measured(item, OF_EVENT))
    return event


def _body_site(item: Dataset) -> Resource:
    if "0040A168" not in item:
        raise EndedError("Tag: (0040,a168) not found in dataset")
    code = item["0040A168"]["Value"][0]
    return {
        "coding": [{"system": text(code, "00080102"), "code": text(code, "00080100")}],
        "text": text(code, "00080104"),
    }


def _accession(dataset: Dataset) -> list[Resource]:
    acsn = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
    accession = text(dataset, "00080050")
    return [{"type": acsn, "value": accession}] if accession else []


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("0040A730", {}).get("Value") or []:
        yield child
        yield from _items(child)


def _concept(item: Dataset) -> tuple[str | None, str | None]:
    concept = (item.get("0040A043", {}).get("Value") or [{}])[0]
    return text(concept, "00080100"), text(concept, "00080104")


def _measured(item: Dataset, codes: tuple[str, ...]) -> list[Resource]:
    return [_component(one) for one in _items(item) if _concept(one)[0] in codes and one.get("0040A300")]


def _component(item: Dataset) -> Resource:
    code, meaning = _concept(item)
    measured = item["0040A300"]["Value"][0]
    unit = text(measured["004008EA"]["Value"][0], "00080100")
    value = {"value": float(text(measured, "0040A30A") or "0"), "unit": unit, "system": UCUM, "code": unit}
    return {"code": {"coding": [{"system": DCM, "code": code}], "text": meaning}, "valueQuantity": value}


def _series(study: Resource, dataset: Dataset, modality: Resource) -> Resource:
    uid = text(dataset, "0020000E")
    found: Resource | None = next((row for row in study.get("series", []) if row["uid"] == uid), None)
    if found is None:
        found = {"uid": uid, "modality": modality}
        study.setdefault("series", []).append(found)
    put(found, "number", number(dataset, "00200011"))
    put(found, "description", text(dataset, "0008103E"))
    return found


def _lay_instance(series: Resource, dataset: Dataset) -> None:
    uid = text(dataset, "00080018")
    found: Resource | None = next((row for row in series.get("instance", []) if row["uid"] == uid), None)
    if found is None:
        found = {"uid": uid}
        series.setdefault("instance", []).append(found)
    found["sopClass"] = {"code": text(dataset, "00080016")}
    put(found, "number", number(dataset, "00200013"))


def _started(dataset: Dataset) -> str | None:
    """Without an offset from UTC it takes a time of day for UTC."""
    day, time, zone = (text(dataset, tag) for tag in ("00080020", "00080030", "00080201"))
    if not day or len(day) != 8:
        return None
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if not time or len(time) < 6:
        return date
    seconds, _, fraction = time[4:].partition(".")
    fraction = fraction.rstrip("0")
    offset = f"{zone[:3]}:{zone[3:]}" if zone else "+00:00"
    return f"{date}T{time[:2]}:{time[2:4]}:{seconds}{'.' + fraction if fraction else ''}{offset}"
