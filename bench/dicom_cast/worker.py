"""DICOM Cast's algorithm, re-enacted for machines that do not have it: feed pages of ten with metadata, one entry after
the other, and for each instance three searches and one transaction with the whole ImagingStudy.

Its requests are those of the real one (tests/servers/test_re_enactment.py compares them). It is charitable otherwise:
nothing is logged, no table is written, it never waits, and pages are asked for at once.
"""

import json
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from bench.dicom_cast import resources
from bench.dicom_cast.resources import Dataset, EndedError, Resource

PAGE = 10
ACCEPT = {"Accept": "application/fhir+json"}
TRANSACTION = {
    **ACCEPT,
    "x-bundle-processing-logic": "Parallel",
    "Content-Type": "application/fhir+json; charset=utf-8",
}
DELETED = "204"


class Entry(NamedTuple):
    """One entry of a transaction."""

    resource: Resource
    request: dict[str, str]
    full_url: str


class DicomCast:
    """One run over the feed; `sequence` is its sync state."""

    def __init__(self, dicom: str, fhir: str, *, sequence: int = 0, system: str = "") -> None:
        self._dicom, self._fhir, self._system = dicom, fhir, system
        self._http = httpx.Client(timeout=120, trust_env=False, headers={"Accept-Encoding": "identity"})
        self._has_asked = False
        self.sequence = sequence
        self.entries = 0

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def catch_up(self) -> None:
        """Work the feed until it is read."""
        while self.page():
            pass

    def page(self) -> bool:
        """One page; whether there was anything in it. EndedError at an entry that the real one ends at."""
        if not self._has_asked:
            self._http.get(f"{self._fhir}/metadata", headers=ACCEPT).raise_for_status()
            self._has_asked = True
        # whether there is more is asked before each page
        self._http.get(f"{self._dicom}/v1/changefeed/latest", params={"includeMetadata": "false"}).raise_for_status()
        query: dict[str, Any] = {"offset": self.sequence, "limit": PAGE, "includeMetadata": "true"}
        rows = self._http.get(f"{self._dicom}/v1/changefeed", params=query).raise_for_status().json()
        for row in rows:
            self._entry(row)
            self.entries += 1
        self.sequence = max([self.sequence, *(row["sequence"] for row in rows)])
        return bool(rows)

    def _entry(self, row: dict[str, Any]) -> None:
        if row["action"] == "Update":
            raise EndedError("an entry of the action Update")
        if row["action"] == "Delete":
            self._remove(row)
        elif row["state"] != "Deleted" and resources.text(row["metadata"], "00100020"):
            self._lay(row["metadata"])

    def _lay(self, dataset: Dataset) -> None:
        patient_id = resources.text(dataset, "00100020") or ""
        identity = f"{self._system}|{patient_id}"
        stored_patient = self._find("Patient", f"identifier={identity}")
        where, new_endpoint = self._where()
        of_study = _of_study(resources.text(dataset, "0020000D"))
        stored = self._find("ImagingStudy", of_study)
        laid_patient = resources.patient(stored_patient, dataset, self._system)
        patient = _write(stored_patient, laid_patient, f"identifier={identity}")
        subject = _target(stored_patient, patient)
        laid = resources.imaging_study(stored, dataset, self._dicom + "/", (subject, where))
        study = _write(stored, laid, of_study)
        made = resources.observations(dataset, _target(stored, study), subject)
        entries = [new_endpoint, study, patient, *(_create(one) for one in made)]
        self._transact([entry for entry in entries if entry is not None])

    def _remove(self, row: dict[str, Any]) -> None:
        """Take the instance out of its study, and the study away with its last one. All Observations of it go."""
        self._where()
        of_study = _of_study(row["studyInstanceUid"])
        stored = self._find("ImagingStudy", of_study)
        observations = self._find_all("Observation", of_study)
        if stored is None:
            return
        rest = resources.without_instance(stored, row["seriesInstanceUid"], row["sopInstanceUid"])
        without_series = {name: value for name, value in stored.items() if name != "series"}
        entry = _delete(without_series) if rest is None else _write(stored, rest, of_study)
        entries = [*([entry] if entry else []), *map(_delete, observations)]
        answered = self._transact(entries)
        if observations and any(one["response"]["status"] != DELETED for one in answered[-len(observations) :]):
            self._remove(row)  # taken for a conflict

    def _where(self) -> tuple[str, Entry | None]:
        wanted = resources.endpoint(self._dicom + "/")
        kind = f"{resources.CONNECTION_TYPE['system']}|{resources.CONNECTION_TYPE['code']}"
        criteria = f"name={wanted['name']}&connection-type={kind}"
        stored = self._find("Endpoint", criteria)
        entry = None if stored else _write(None, wanted, criteria)
        return _target(stored, entry), entry

    def _find(self, resource_type: str, criteria: str) -> Resource | None:
        hits = self._find_all(resource_type, criteria)
        return hits[0] if hits else None

    def _find_all(self, resource_type: str, criteria: str) -> list[Resource]:
        url = f"{self._fhir}/{resource_type}?{quote(criteria, safe='=&:/')}"
        found = self._http.get(url, headers=ACCEPT).raise_for_status().json()
        return [entry["resource"] for entry in found.get("entry", [])]

    def _transact(self, entries: list[Entry]) -> list[dict[str, Any]]:
        if not entries:
            return []
        rows = [{"fullUrl": entry.full_url, "resource": entry.resource, "request": entry.request} for entry in entries]
        bundle = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": rows}, separators=(",", ":"))
        answer = self._http.post(f"{self._fhir}/", content=bundle.encode(), headers=TRANSACTION).raise_for_status()
        answered: list[dict[str, Any]] = answer.json().get("entry", [])
        return answered


def _of_study(uid: str | None) -> str:
    return f"identifier=urn:dicom:uid|urn:oid:{uid}"


def _write(stored: Resource | None, laid: Resource, criteria: str) -> Entry | None:
    """A conditional create, a versioned update, or nothing when equal."""
    kind = laid["resourceType"]
    if stored is None:
        return Entry(laid, {"method": "POST", "url": kind, "ifNoneExist": criteria}, f"urn:uuid:{uuid.uuid4()}")
    if laid == stored:
        return None
    version = f'W/"{stored["meta"]["versionId"]}"'
    return Entry(laid, {"method": "PUT", "url": _name(stored), "ifMatch": version}, _name(stored))


def _create(resource: Resource) -> Entry:
    return Entry(resource, {"method": "POST", "url": resource["resourceType"]}, f"urn:uuid:{uuid.uuid4()}")


def _delete(stored: Resource) -> Entry:
    return Entry(stored, {"method": "DELETE", "url": _name(stored)}, _name(stored))


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _target(stored: Resource | None, entry: Entry | None) -> str:
    if stored is not None:
        return _name(stored)
    assert entry is not None
    return entry.full_url
