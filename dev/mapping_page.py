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
`dicom-`; only that is replaced or removed, the rest stays. Everything else in these tables is the app's own.
"""

PATIENT = """A Patient is shared by studies. Each element has the value of the newest instance that has one, among all its studies. What DICOM leaves empty stays as it is, and a
Patient is never deleted. `Patient__Demographics=CreateOnly` sets these elements only when the Patient is created.

Other Patient IDs are left out: they say which further numbers a person has somewhere, seldom who gave them, and a Patient
that carries them would be found, and merged, as somebody else.

Identity is never guessed: an instance whose PatientID has several values, or characters that the DICOM service could not read
by Specific Character Set, is not in FHIR. So with IssuerOfPatientID where `Patient__IsIssuerIdUsed` makes it the system. A study
in a data partition whose system `Patient__PartitionSystemIds` does not name is set aside: PatientID 1001 of two partitions can
be two persons.
"""

STUDY = """`status` is `available`, unless somebody else set `cancelled` or `entered-in-error`: that stays. `modality` is the set of the series' modalities; `numberOfSeries`, `numberOfInstances` and
`series.numberOfInstances` are counted from what is listed; `subject`, `endpoint` and `series.endpoint` are references. Series
and instances are ordered by number and UID.

**Values of many instances.** Each element of the study and of a series has the value of the newest instance that has a usable
one; late objects that leave attributes empty take nothing away, and the order of arrival does not matter. An element goes when
no instance has a value any more. Accession numbers and the requests they stand for are those of all instances, each once.

**One study, one patient.** `subject` is the Patient of most instances (of as many, that of the newest). An instance with another
PatientID is listed and recorded (`patient-conflict`); the study moves when its instances are corrected. A `subject` that somebody
else set stays until DICOM's patient of the study changes.

A date and a time become a dateTime where the zone is known. Second 60, and what is outside the years 1 to 9999 by UTC, is left to
the date, since not every FHIR server takes it.

When the last instance of a study is gone, the ImagingStudy is deleted if this app or DICOM Cast created it (`meta.source`),
otherwise only our part of it is taken out. A former address of the archive (`DicomWeb__FormerEndpoints`) in `meta.source`, in an
Endpoint or in an extension becomes the present one when the study is looked at.

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
correspondence, otherwise the text stands alone. A code of an unknown scheme stands without a system.
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
Observations of a study. Values are never summed, neither over reports nor over planes. A report that a later one includes or
replaces stays `preliminary`; `status=final` finds each irradiation once.

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
