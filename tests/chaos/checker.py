"""What FHIR should say, worked out from DICOM alone, and where it says something else.

Nothing of the app is imported: what is compared is written down here a second time, from the standards and the
documentation. Differences name UIDs, resource types and elements, never values.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict

import httpx

from tests.chaos.archive import read_archive
from tests.chaos.asking import read_resources

UID, OID = "urn:dicom:uid", "urn:oid:"
GENDERS = {"M": "male", "F": "female", "O": "other"}
DOSE_REPORTS = {"1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.68"}
CT_ACQUISITION, EVENT_UID = "113819", "113769"


def newest_first(instances):
    return sorted(instances, key=lambda one: one.sequence, reverse=True)


def provided(instances, value_of):
    """The value of the newest instance that has one."""
    return next((value for one in newest_first(instances) if (value := value_of(one)) is not None), None)


def patient_of(instances):
    """The PatientID of most instances; of as many, that of the newest."""
    counts = Counter(one.text("00100020") for one in newest_first(instances))
    return max(counts, key=counts.get)


class Comparison:
    """Collects differences."""

    def __init__(self, archive, resources):
        self.archive = archive
        self.resources = resources
        self.by_reference = {f"{one['resourceType']}/{one['id']}": one for one in resources}
        self.differences = []

    def of_type(self, name):
        return [one for one in self.resources if one["resourceType"] == name]

    def differ(self, what):
        self.differences.append(what)

    def equal(self, what, expected, found):
        if expected != found:
            self.differ(f"{what} differs")

    def run(self):
        self.check_twins()
        self.check_references()
        self.check_studies()
        self.check_demographics()
        self.check_observations()
        return self.differences

    # nothing is there twice

    def check_twins(self):
        for name, identity in (
            ("Patient", _identifiers),
            ("Device", lambda one: [_identifiers(one)[0]]),
            ("ImagingStudy", _study_identifier),
            ("Endpoint", lambda one: [one["name"]]),
            ("Observation", lambda one: [tuple(_identifiers(one)[:2])]),
        ):
            seen = defaultdict(list)
            for one in self.of_type(name):
                for key in identity(one):
                    seen[key].append(one["id"])
            for ids in seen.values():
                if len(ids) > 1:
                    self.differ(f"twins: {name} {', '.join(ids)}")
        # a partition may have an Endpoint of its own, and an Endpoint stays when its last study is gone
        most = max(1, len(self.archive.partitions))
        if self.archive.instances and not 1 <= len(self.of_type("Endpoint")) <= most:
            self.differ(f"{len(self.of_type('Endpoint'))} Endpoints")

    def check_references(self):
        for one in self.resources:
            for reference in _references(one):
                if reference not in self.by_reference:
                    kind = reference.partition("/")[0]
                    self.differ(f"{one['resourceType']} {one['id']}: reference to a {kind} that is not there")

    # studies

    def check_studies(self):
        wanted = self.archive.by("study")
        found = {}
        for one in self.of_type("ImagingStudy"):
            for uid in _study_identifier(one):
                found[uid] = one
        for uid in wanted.keys() - found.keys():
            self.differ(f"study {uid}: not in FHIR")
        for uid in found.keys() - wanted.keys():
            self.differ(f"study {uid}: no longer in DICOM")
        for uid in wanted.keys() & found.keys():
            self.check_study(uid, wanted[uid], found[uid])

    def check_study(self, uid, instances, resource):
        numbers = {one.text("00080050") for one in instances} - {None}
        self.equal(f"study {uid}: patient", patient_of(instances), self.patient_id_of(resource))
        self.equal(f"study {uid}: description", provided(instances, _said("00081030")), resource.get("description"))
        self.equal(f"study {uid}: accession", numbers, _accessions(resource))
        self.equal(f"study {uid}: started", provided(instances, _started), resource.get("started"))
        self.equal(f"study {uid}: status", "available", resource.get("status"))
        series = defaultdict(list)
        for one in instances:
            series[one.series].append(one)
        stored = {row["uid"]: row for row in resource.get("series", [])}
        self.equal(f"study {uid}: series", set(series), set(stored))
        self.equal(f"study {uid}: numberOfSeries", len(series), resource.get("numberOfSeries"))
        self.equal(f"study {uid}: numberOfInstances", len(instances), resource.get("numberOfInstances"))
        modalities = {provided(ones, _said("00080060")) for ones in series.values()}
        self.equal(f"study {uid}: modality", modalities, {row["code"] for row in resource.get("modality", [])})
        for series_uid in series.keys() & stored.keys():
            self.check_series(series_uid, series[series_uid], stored[series_uid])

    def check_series(self, uid, instances, row):
        self.equal(f"series {uid}: modality", provided(instances, _said("00080060")), row["modality"]["code"])
        number = provided(instances, lambda one: one.value("00200011"))
        self.equal(f"series {uid}: number", number, row.get("number"))
        self.equal(f"series {uid}: description", provided(instances, _said("0008103E")), row.get("description"))
        self.equal(f"series {uid}: numberOfInstances", len(instances), row.get("numberOfInstances"))
        listed = [one["uid"] for one in row.get("instance", [])]
        self.equal(f"series {uid}: instances", sorted(one.sop for one in instances), sorted(listed))
        stored = {one["uid"]: one for one in row.get("instance", [])}
        for one in instances:
            entry = stored.get(one.sop, {})
            sop_class = OID + one.text("00080016")
            self.equal(f"instance {one.sop}: sopClass", sop_class, entry.get("sopClass", {}).get("code"))
            self.equal(f"instance {one.sop}: number", one.value("00200013"), entry.get("number"))

    def patient_id_of(self, resource):
        patient = self.by_reference.get(resource.get("subject", {}).get("reference"), {})
        return next((row.get("value") for row in patient.get("identifier", [])), None)

    # each element comes from the newest instance of all studies of a patient that has it

    def check_demographics(self):
        of_patient = defaultdict(list)
        for instances in self.archive.by("study").values():
            patient = patient_of(instances)
            of_patient[patient] += [one for one in instances if one.text("00100020") == patient]
        for patient in self.of_type("Patient"):
            instances = of_patient.get(self.patient_id_of({"subject": {"reference": f"Patient/{patient['id']}"}}))
            if instances:
                what = f"Patient {patient['id']}:"
                self.equal(f"{what} name", provided(instances, _name), _human_name(patient))
                gender = provided(instances, lambda one: GENDERS.get(one.text("00100040")))
                self.equal(f"{what} gender", gender, patient.get("gender"))
                birth_date = provided(instances, lambda one: _date(one.text("00100030")))
                self.equal(f"{what} birthDate", birth_date, patient.get("birthDate"))

    # dose reports

    def check_observations(self):
        wanted = defaultdict(set)
        for one in self.archive.instances:
            if one.text("00080016") in DOSE_REPORTS:
                wanted[one.study] |= {one.sop, *_events(one.dataset)}
        found = defaultdict(set)
        studies = {uid: one for one in self.of_type("ImagingStudy") for uid in _study_identifier(one)}
        for one in self.of_type("Observation"):
            own, study = (value.removeprefix(OID) for _, value in _identifiers(one)[:2])
            found[study].add(own)
            resource = studies.get(study)
            if resource is None:
                self.differ(f"Observation {one['id']}: of study {study}, which is not there")
                continue
            self.equal(
                f"Observation {one['id']}: subject", resource["subject"]["reference"], one["subject"]["reference"]
            )
            for name in ("focus", "partOf"):
                told = [row.get("reference") for row in one.get(name, [])]
                self.equal(f"Observation {one['id']}: {name}", [f"ImagingStudy/{resource['id']}"], told)
        for study in wanted.keys() | found.keys():
            for uid in wanted[study] - found[study]:
                self.differ(f"study {study}: no Observation of {uid}")
            for uid in found[study] - wanted[study]:
                self.differ(f"study {study}: an Observation of {uid}, which no report tells")


def _identifiers(resource):
    return [(row.get("system", ""), row["value"]) for row in resource.get("identifier", [])]


def _study_identifier(resource):
    return [value.removeprefix(OID) for system, value in _identifiers(resource) if system == UID]


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _said(tag):
    return lambda instance: instance.text(tag)


def _accessions(resource):
    return {
        row["value"]
        for row in resource.get("identifier", [])
        if any(coding.get("code") == "ACSN" for coding in row.get("type", {}).get("coding", []))
    }


def _date(text):
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if text else None


def _started(instance):
    """A time needs a zone; without one the date stands alone."""
    date, time, zone = (instance.text(tag) for tag in ("00080020", "00080030", "00080201"))
    if not (date and time and zone):
        return _date(date)
    clock = re.fullmatch(r"(\d\d)(\d\d)(\d\d)", time)
    return f"{_date(date)}T{':'.join(clock.groups())}{zone[:3]}:{zone[3:]}"


def _name(instance):
    if not instance.value("00100010"):
        return None
    parts = instance.value("00100010")["Alphabetic"].split("^")
    family, given, middle, prefix, suffix = parts + [""] * (5 - len(parts))
    return (family, [one for one in (given, middle) if one], prefix, suffix)


def _human_name(patient):
    (name,) = [one for one in patient.get("name", []) if one.get("use") == "usual"] or [{}]
    prefix, suffix = (next(iter(name.get(part, [])), "") for part in ("prefix", "suffix"))
    return (name.get("family", ""), name.get("given", []), prefix, suffix)


def _events(item):
    """UIDs of the irradiation events in the content tree of a report on CT."""
    concept = next(iter(item.get("0040A043", {}).get("Value", [])), {})
    children = item.get("0040A730", {}).get("Value", [])
    if concept.get("00080100", {}).get("Value") == [CT_ACQUISITION]:
        for child in children:
            named = next(iter(child.get("0040A043", {}).get("Value", [])), {})
            if named.get("00080100", {}).get("Value") == [EVENT_UID]:
                yield child["0040A124"]["Value"][0]
    for child in children:
        yield from _events(child)


async def differences(dicom, fhir, evidence=None, *, partitioned=False):
    """Where FHIR says something else than DICOM; empty when they agree. partitioned: DICOM has data partitions.

    evidence: the file to write what both have to, where they differ.
    """
    async with httpx.AsyncClient(timeout=120, trust_env=False) as http:
        archive = await read_archive(http, dicom, partitioned=partitioned)
        resources = await read_resources(http, fhir)
    found = Comparison(archive, resources).run()
    if found and evidence is not None:
        evidence.write_text(json.dumps({"dicom": list(map(asdict, archive.instances)), "fhir": resources}, indent=1))
    return found
