"""DICOM Cast's algorithm, re-enacted: feed pages of ten with metadata, one entry after the other in one thread, and for
each instance the searches for its Patient, Endpoint and ImagingStudy and one transaction with the whole ImagingStudy.

Charitable: connections are kept, an Endpoint that was found is remembered, nothing is logged, nothing fails, and
pages are asked for without waiting for a poll interval.
"""

import json
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx

from bench.dicom_cast import resources
from bench.dicom_cast.resources import Dataset, Resource

PAGE = 10
FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}


class Entry(NamedTuple):
    """One entry of a transaction."""

    resource: Resource | None
    request: dict[str, str]
    full_url: str = ""


class DicomCast:
    """One run over the feed; `sequence` is its sync state."""

    def __init__(self, dicom: str, fhir: str, *, sequence: int = 0, system: str = "") -> None:
        self._dicom, self._fhir, self._system = dicom, fhir, system
        self._http = httpx.Client(timeout=120, trust_env=False, headers={"Accept-Encoding": "identity"})
        self._endpoint: str | None = None
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
        """One page; whether there was anything in it."""
        query: dict[str, Any] = {"offset": self.sequence, "limit": PAGE, "includeMetadata": "true"}
        rows = self._http.get(f"{self._dicom}/v1/changefeed", params=query).raise_for_status().json()
        for row in rows:
            self._entry(row)
            self.entries += 1
        self.sequence = max([self.sequence, *(row["sequence"] for row in rows)])
        return bool(rows)

    def _entry(self, row: dict[str, Any]) -> None:
        if row["action"] == "Delete":
            self._remove(row)
        elif row["state"] != "Deleted":
            self._lay(row["metadata"])

    def _lay(self, dataset: Dataset) -> None:
        patient_id = resources.text(dataset, "00100020") or ""
        identity = f"{self._system}|{patient_id}" if self._system else patient_id
        stored_patient = self._find("Patient", {"identifier": identity})
        where, new_endpoint = self._where()
        uid = f"urn:dicom:uid|urn:oid:{resources.text(dataset, '0020000D')}"
        stored = self._find("ImagingStudy", {"identifier": uid})
        patient = _write(
            stored_patient, resources.patient(stored_patient, dataset, self._system), {"identifier": identity}
        )
        subject = _target(stored_patient, patient)
        laid = resources.imaging_study(stored, dataset, self._dicom + "/", (subject, where))
        study = _write(stored, laid, {"identifier": uid})
        made = resources.observations(dataset, _target(stored, study), subject)
        entries = [
            new_endpoint,
            patient,
            study,
            *(Entry(one, {"method": "POST", "url": "Observation"}) for one in made),
        ]
        self._transact([entry for entry in entries if entry is not None])

    def _remove(self, row: dict[str, Any]) -> None:
        uid = f"urn:dicom:uid|urn:oid:{row['studyInstanceUid']}"
        stored = self._find("ImagingStudy", {"identifier": uid})
        if stored is None:
            return
        rest = resources.without_instance(stored, row["seriesInstanceUid"], row["sopInstanceUid"])
        address = f"ImagingStudy/{stored['id']}"
        gone = Entry(None, {"method": "DELETE", "url": address})
        entry = gone if rest is None else _write(stored, rest, {})
        self._transact([entry] if entry else [])

    def _where(self) -> tuple[str, Entry | None]:
        if self._endpoint is not None:
            return self._endpoint, None
        wanted = resources.endpoint(self._dicom + "/")
        kind = f"{resources.CONNECTION_TYPE['system']}|{resources.CONNECTION_TYPE['code']}"
        criteria = {"name": wanted["name"], "connection-type": kind}
        stored = self._find("Endpoint", criteria)
        if stored is not None:
            self._endpoint = f"Endpoint/{stored['id']}"
            return self._endpoint, None
        entry = _write(None, wanted, criteria)
        return _target(None, entry), entry

    def _find(self, resource_type: str, criteria: dict[str, str]) -> Resource | None:
        url, fresh = f"{self._fhir}/{resource_type}", {"Cache-Control": "no-cache"}  # HAPI remembers searches
        found = self._http.get(url, params=criteria, headers=fresh).raise_for_status().json()
        hits: list[Resource] = [entry["resource"] for entry in found.get("entry", [])]
        return hits[0] if hits else None

    def _transact(self, entries: list[Entry]) -> None:
        if not entries:
            return
        rows = [
            {
                **({"fullUrl": entry.full_url} if entry.full_url else {}),
                **({"resource": entry.resource} if entry.resource else {}),
                "request": entry.request,
            }
            for entry in entries
        ]
        bundle = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": rows})
        self._http.post(self._fhir, content=bundle.encode(), headers=FHIR_JSON).raise_for_status()


def _write(stored: Resource | None, laid: Resource, criteria: dict[str, str]) -> Entry | None:
    """A conditional create, a versioned update, or nothing when equal."""
    kind = laid["resourceType"]
    if stored is None:
        request = {"method": "POST", "url": kind, "ifNoneExist": urlencode(criteria, quote_via=quote)}
        return Entry(laid, request, f"urn:uuid:{uuid.uuid4()}")
    if laid == stored:
        return None
    version = f'W/"{stored["meta"]["versionId"]}"'
    return Entry(laid, {"method": "PUT", "url": f"{kind}/{stored['id']}", "ifMatch": version})


def _target(stored: Resource | None, entry: Entry | None) -> str:
    if stored is not None:
        return f"{stored['resourceType']}/{stored['id']}"
    assert entry is not None
    return entry.full_url
