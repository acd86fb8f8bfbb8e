"""What DICOM Cast wrote, by its documentation: one dataset at a time laid over what FHIR has.

A re-enactment to measure and to take over from, not a translation of its code. Where the documentation leaves a choice,
the one that costs less is taken.
"""

from copy import deepcopy
from typing import Any

Resource = dict[str, Any]
Dataset = dict[str, Any]
GENDERS = {"M": "male", "F": "female", "O": "other"}
CONNECTION_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "dicom-wado-rs"}
LOINC_DOSE, DCM_EVENT = ("http://loinc.org", "73569-6"), ("http://dicom.nema.org/resources/ontology/DCM", "113852")
DOSE_REPORTS = {"1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.68"}


def text(dataset: Dataset, tag: str) -> str | None:
    """The first value of an attribute."""
    values = dataset.get(tag, {}).get("Value") or [None]
    return None if values[0] is None else str(values[0])


def number(dataset: Dataset, tag: str) -> int | None:
    """The first value as a number."""
    value = text(dataset, tag)
    return int(float(value)) if value else None


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
    identifier = {"value": text(dataset, "00100020")} | ({"system": system} if system else {})
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
    if accession := text(dataset, "00080050"):
        acsn = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
        if not any(row.get("value") == accession for row in result["identifier"]):
            result["identifier"].append({"type": acsn, "value": accession})
    put(result, "started", _started(dataset))
    if note := text(dataset, "00081030"):
        notes = result.setdefault("note", [])
        if {"text": note} not in notes:
            notes.append({"text": note})
    modality = {"system": "DCM", "code": text(dataset, "00080060") or "OT"}
    if modality not in result.setdefault("modality", []):
        result["modality"].append(modality)
    _lay_instance(_series(result, dataset, modality), dataset)
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
    uid = f"urn:oid:{text(dataset, '0020000D')}"
    made = [_observation(LOINC_DOSE, uid, study, subject)]
    return [*made, *(_observation(DCM_EVENT, uid, study, subject) for _ in range(_events(dataset)))]


def _observation(code: tuple[str, str], study_uid: str, study: str, subject: str) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": {"coding": [{"system": code[0], "code": code[1]}]},
        "identifier": [{"system": "urn:dicom:uid", "value": study_uid}],
        "subject": {"reference": subject},
        "partOf": [{"reference": study}],
    }


def _events(item: Dataset) -> int:
    concept = (item.get("0040A043", {}).get("Value") or [{}])[0]
    is_event = text(concept, "00080100") in ("113819", "113706")
    return is_event + sum(_events(child) for child in item.get("0040A730", {}).get("Value") or [])


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
    day, time, zone = (text(dataset, tag) for tag in ("00080020", "00080030", "00080201"))
    if not day or len(day) != 8:
        return None
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if not time or not zone or len(time) < 6:
        return date
    return f"{date}T{time[:2]}:{time[2:4]}:{time[4:6]}{zone[:3]}:{zone[3:]}"
