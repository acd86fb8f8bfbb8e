"""docs/mapping.md, printed from the tables that the app maps by."""

from collections.abc import Iterable
from pathlib import Path

from shared.mapping.device import DEVICE_ROWS
from shared.mapping.dose import codes
from shared.mapping.endpoint import ENDPOINT_ROWS
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.observation_layer import OBSERVATION_ROWS
from shared.mapping.patient import PATIENT_ROWS
from shared.mapping.study_identifiers import IDENTIFIER_ROWS
from shared.mapping.table import Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "mapping.md"

HEAD = """# Mapping

What of a DICOM study stands where in FHIR. `make docs` prints this page from the tables that the app itself maps by.
The specification is the DICOM Tag Mapping of <https://hl7.org/fhir/R4/imagingstudy-mappings.html#dicom>; for dose, the HL7
guide [Radiation Dose Summary](https://hl7.org/fhir/uv/radiation-dose-summary/) 1.0.0.

**Shared** means that others may write there too. What this app writes there carries an element `id` that begins with
`dicom-`; only that is replaced or removed, the rest stays. Known without an id are the note, by being equal to the description, and the
requests and components of an Observation, by what they say. Everything else in these tables is the app's own, but for an ImagingStudy of
somebody else (see there).
"""

PATIENT = """A Patient is shared by studies. Each element has the value of the newest instance that has one, among all its studies. Where a study
leaves a Patient, or an attribute is emptied, and no other study of the Patient provides the element, it goes if this app wrote it
and nobody has changed it since. A Patient is never deleted, and one whose last study is deleted stays as it was.
`Patient__Demographics=CreateOnly` sets these elements only when the Patient is created.

**Merged Patients.** A Patient with a `link` of type `replaced-by` is not used: its studies and their Observations are linked to the
Patient at the end of such links, each at its next look, whichever of them carries the number. Nothing is written into a Patient
that is reached so, nor into the one that it replaces. Of several Patients with the number the only active one is meant; one that is
inactive and the only one is still that person. Links in a circle, or to a Patient that the server does not have, fail the study
(`patient-link-circle`, `patient-link-broken`).

**Two persons under one number.** If name, sex and birth date of a study all contradict those of its Patient, the Patient has what
the newest study says, and the study that contradicts it is recorded (`demographics-conflict`). So is one whose Issuer of Patient ID
is another, where `Patient__IsIssuerIdUsed` does not make two Patients of it (`issuer-conflict`). At most eight studies of a Patient
are recorded; each record goes when it is over.

Other Patient IDs are left out: they say which further numbers a person has somewhere, seldom who gave them, and a Patient
that carries them would be found, and merged, as somebody else.

Identity is never guessed: an instance whose PatientID has several values, or characters that the DICOM service could not read
by Specific Character Set, is not in FHIR. So with IssuerOfPatientID where `Patient__IsIssuerIdUsed` makes it the system. A study
in a data partition whose system `Patient__PartitionSystemIds` does not name fails: PatientID 1001 of two partitions can
be two persons.
"""

STUDY = """`status` is `available`, unless somebody else set `cancelled` or `entered-in-error`: that stays. `modality` is the set of the series' modalities; `numberOfSeries`, `numberOfInstances` and
`series.numberOfInstances` are counted from what DICOM has; `subject`, `endpoint` and `series.endpoint` are references. Series
and instances are ordered by number and UID.

**Values of many instances.** Each element of the study and of a series has the value of the newest instance that has a usable
one; late objects that leave attributes empty take nothing away, and the order of arrival does not matter. An element goes when
no instance has a value any more. Accession numbers and the requests they stand for are those of all instances, each once.

**One study, one patient.** `subject` is the Patient of most instances (of as many, that of the newest). An instance with another
PatientID is listed and recorded (`patient-conflict`); the study moves when its instances are corrected. A `subject` that somebody
else set stays until DICOM's patient of the study changes.

**Studies that do not list their instances.** By `ImagingStudy__Instances` and `ImagingStudy__MostInstances`, or where the FHIR
server refuses the size, series have their counts and no `instance`. R4 lets `numberOfInstances` be larger than the list. The
extension `urn:dicom-fhir-sync:unlisted-instances` at the series says that this is meant: `source` (as below) and `count`, the number of
its instances that are not listed. Instances that others list stay, and count too. Where several sources list none of a series,
`numberOfInstances` is that of the source with the most: copies have the same instances.

A date and a time become a dateTime where the zone is known. Second 60, and what is outside the years 1 to 9999 by UTC, is left to
the date, since not every FHIR server takes it.

When the last instance of a study is gone, the ImagingStudy is deleted if this app or DICOM Cast created it (`meta.source`). A former
address of the archive (`DicomWeb__FormerEndpoints`) in `meta.source`, in an Endpoint or in an extension becomes the present one when
the study is looked at.

**An ImagingStudy of somebody else.** One with another `meta.source` or none, a record system's say, stays theirs. Each single value
that they wrote stays as it is, whether DICOM has none, another, a coarser or a finer one: `status`, `subject`, `started`,
`description`, the counts, and those of the series and instances that they list. This app writes what they left out, adds its items
to lists, and adds series and instances. All of that carries the `id`: a primitive value beside it (`"started": "2021-03-01",
"_started": {"id": "dicom-started"}`), an added series or instance on itself; within an added series nothing else does. So exactly
that is replaced as DICOM changes, and taken out of a series and of the study when DICOM has nothing of it any more: what is left is
what they wrote. Whoever writes such a study must leave these ids where they are, and give what is theirs other ids or none. A
`subject` that is not DICOM's patient is recorded (`subject-kept`).

Whoever changes the `meta.source` of an ImagingStudy of this app makes it theirs in one respect: it is not deleted with the study, only
emptied of what this app wrote. Where `meta.source` is merely lost, it is restored with the next change.

**One study, several sources.** A source is one data partition of one DICOM service. What is stored in several of them has one
ImagingStudy, and an instance stays in it until no source has it. Without marks everything belongs to the default partition of
the service in `meta.source`; otherwise extensions `urn:dicom-fhir-sync:source` name the sources: of the study, and of a series or an
instance where they are others than those of what contains it. A source is written as the URL of the service, with `#` and the
partition's name for any but `Microsoft.Default`. Of several partitions that have the study, a series or an instance, the first by
name provides its values; of several services, the last that wrote. `endpoint` and `series.endpoint` list the services that have
something there, and `meta.source` passes to another service when the one named there has nothing more.
"""

CODES = """### Codes

A Coding Scheme Designator becomes a system only where the system is known: those of FHIR, or one that the dataset declares in
its Coding Scheme Identification Sequence. Codes of SNOMED RT (SRT, SNM3, 99SDM) become SNOMED CT where PS3.16 publishes the
correspondence, otherwise the text stands alone; body sites have the concept that annex L has for the term now. A code of an
unknown scheme stands without a system. A code under DCM that DICOM does not define is left to the text.

Modalities are those that DICOM defines today; some are newer than R4: ANN, CTPROTOCOL, M3D and others.
R4 binds `modality` extensibly, so the resource is valid. A terminology server whose copy of DCM is older does not know them: its
`$validate` warns, or calls the code unknown where the copy claims to be complete, and searches by a value set
(`modality:in`) do not find them. Searches by the code do. Load a current DCM there.
"""

DEVICE = """One for each equipment that can be told from others: by manufacturer and serial number, or by a Device UID. What distinguishes
it is part of its identity (an identifier `urn:uuid:` made of all of these), so a Device never changes, and a study of last
year keeps the software that made it. It is the performer of series and the device of dose Observations.

Where the FHIR server lets clients choose ids there is one Device more, `Device/dicom-fhir-sync`, which is no equipment: the app keeps
the key there that the ids of new resources are made with (docs/design.md, "New resources").
"""

DOSE = """Dose reports are documents titled DCM 113701 or 113500. Each has one Observation, the summary, known by the SOP Instance UID;
with `DicomCast__Features__GenerateIrradiationEvents` each irradiation event with a measured value has one too, known by its
UID, as `hasMember` of the summary. All carry the Study Instance UID as a further identifier, so that one search finds all
Observations of a study. Values are never summed, neither over reports nor over planes.

What `status` means: the reports of one study are looked at together. One that a later report of the study includes or replaces is
`preliminary`, all others are `final`. Each irradiation event of a study is one Observation, whichever and however many
reports have it. To count each irradiation of a study once, sum over the events. Summing over the `final` summaries does so as long as
their events are apart or one report includes the other. Where two reports overlap (one has the events a and b, the other b and
c), neither includes the other, both are `final`, and b is in both totals. Reports of other studies are not looked at: a report that
replaces one of another study leaves that one `final`, and the same report stored in two studies is `final` in each.

An Observation of the same identity that has another `meta.source`, since others write by the same guide or made ours theirs, stays
as it is, and ours is not written beside it; one of ours follows its study to another Patient even so.

Units are converted exactly. An unknown unit is kept as text, without system and code. Zero is a value; what is empty is left
out.
"""


STUDY_TABLES = (*IDENTIFIER_ROWS, *STUDY_ROWS, *SERIES_ROWS, *INSTANCE_ROWS)
ROWS = (*PATIENT_ROWS, *ENDPOINT_ROWS, *STUDY_TABLES, *DEVICE_ROWS, *OBSERVATION_ROWS)


def page() -> str:
    """The whole text."""
    parts = [
        HEAD,
        "## Patient\n\n" + PATIENT + "\n" + table(PATIENT_ROWS),
        "## Endpoint\n\n" + table(ENDPOINT_ROWS),
        "## ImagingStudy\n\n" + STUDY + "\n" + table(STUDY_TABLES),
        CODES,
        "## Device\n\n" + DEVICE + "\n" + table(DEVICE_ROWS),
        "## Observation\n\n" + DOSE + "\n" + table(OBSERVATION_ROWS),
        "### Components of a summary\n\n"
        + components((codes.PROCEDURE_REPORTED, *codes.X_RAY_TOTALS, *codes.NUCLEAR_TOTALS)),
        "### Components of an irradiation event\n\n" + components(codes.EVENT_VALUES),
    ]
    return "\n".join(parts)


def table(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| DICOM | element | defined in | |", "|---|---|---|---|"]
    for row in rows:
        note = "; ".join(part for part in ("shared" if row.is_shared else "", row.note) if part)
        lines.append(f"| {row.keywords} | `{row.element}` | {row.source} | {note} |")
    return "\n".join(lines) + "\n"


def components(rows: Iterable[codes.Row]) -> str:
    """Values of dose reports as a Markdown table."""
    lines = ["| concept | meaning | value | unit |", "|---|---|---|---|"]
    for row in rows:
        named = ", ".join(f"{concept.scheme} {concept.code}" for concept in row.concepts)
        lines.append(f"| {named} | {row.display} | {row.kind.name.lower()} | {row.unit} |")
    return "\n".join(lines) + "\n"


def command() -> None:
    """Print docs/mapping.md anew."""
    PAGE.write_text(page(), encoding="utf-8")
