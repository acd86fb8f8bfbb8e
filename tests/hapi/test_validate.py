"""Everything that the app writes passes HAPI's `$validate` against base R4, whatever the objects are."""

import json
from collections import Counter

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from dev import load
from dev.dose_sample import dose_report
from dev.samples import ct_study, pydicom_files
from shared.fhir.systems import DCM
from tests.builders import ROOT, make_instance
from tests.flow.test_dose import report
from tests.golden.test_golden import FOLDER, KINDS, mapped
from tests.hapi.validation import wrong_elements
from tests.property.test_mapping_properties import DOSE_REPORTS
from tests.unit.dose.test_vendor_reports import FOLDER as VENDOR_FOLDER
from tests.unit.dose.test_vendor_reports import MISSING, REPORTS

pytestmark = pytest.mark.timeout(600)
NO_OBJECTS = {"messy"}  # its values cannot be written to a file
TYPES = {"Patient", "Endpoint", "ImagingStudy", "Device", "Observation"}


def golden(kind):
    return json.loads((FOLDER / f"{kind}.dicom.json").read_text(encoding="utf-8"))


def as_object(dataset):
    # some values break their VR on purpose; bulk data is named by an address only
    with config.disable_value_validation():
        return Dataset.from_json(dataset, lambda _address: b"")


async def assert_valid(stack, fresh_projection=None):
    """Every resource is valid; the number of each type."""
    resources = await stack.resources()
    wrong = Counter([path for one in resources for path in wrong_elements(stack.fhir, one)])
    assert wrong == {}
    if fresh_projection:
        # HAPI drops what it cannot read, such as unknown or empty elements: it has all that was sent
        assert await stack.content() == await fresh_projection()
    return Counter(one["resourceType"] for one in resources)


async def test_goldens(stack, fresh_projection):
    for kind in sorted({*KINDS} - NO_OBJECTS):
        await stack.store(*map(as_object, golden(kind)))
    assert (await stack.drain()).keys() == {"created"}
    found = await assert_valid(stack, fresh_projection)
    assert found.keys() == TYPES
    assert found["ImagingStudy"] == len(KINDS) - len(NO_OBJECTS)


@pytest.mark.parametrize("kind", sorted(NO_OBJECTS))
async def test_goldens_that_are_no_objects(stack, kind):
    made = mapped(golden(kind))
    for resource in (made["Patient"], made["ImagingStudy"], *made["Device"], *made["Observation"]):
        assert wrong_elements(stack.fhir, resource) == []


async def test_made_up_dose_reports(stack, fresh_projection):
    images = list(ct_study(series=4, instances=8))
    await stack.store(*images, dose_report(images[0]), *map(report, DOSE_REPORTS))
    assert dict(await stack.drain()) == {"created": 2}
    found = await assert_valid(stack, fresh_projection)
    assert found.keys() == TYPES
    assert found["Observation"] > len(DOSE_REPORTS)


@pytest.mark.skipif(not REPORTS, reason=MISSING)
async def test_dose_reports_of_vendors(stack, fresh_projection):
    files = sorted(VENDOR_FOLDER.glob("*.dcm"))
    assert load.store(files, stack.dicom).stored == len(files)
    assert (await stack.drain()).keys() == {"created"}
    found = await assert_valid(stack, fresh_projection)
    assert found.keys() == TYPES
    assert found["Observation"] > len(REPORTS)


async def test_files_of_pydicom(stack, fresh_projection):
    """Real ones of many kinds, some broken on purpose."""
    assert load.store(pydicom_files(), stack.dicom).stored > 50
    await stack.drain()
    found = await assert_valid(stack, fresh_projection)
    assert found["ImagingStudy"] > 20


@pytest.mark.parametrize(
    "settings",
    [
        {"DicomWeb__DefaultTimeZone": "Europe/Berlin", "Patient__PatientSystemId": f"urn:oid:{ROOT}"},
        {"DicomCast__Features__GenerateIrradiationEvents": "false", "Patient__Demographics": "CreateOnly"},
    ],
    ids=["zone and system", "no events"],
)
async def test_other_settings(stack, settings):
    app = stack.new_app(**settings)
    for kind in ("ct", "sr-dose-ct", "us", "japanese"):
        await stack.store(*map(as_object, golden(kind)))
    assert (await stack.drain(app)).keys() == {"created"}
    assert (await assert_valid(stack)).keys() == TYPES


async def test_what_no_standard_defines(stack):
    """Servers that check codes would refuse the system that it would be written under."""
    issuer = Dataset()
    issuer.IdentifierTypeCode = "HOSPITAL_NUMBER"
    own = {"Modality": "XR", "BodyPartExamined": "KNIE", "IssuerOfPatientIDQualifiersSequence": [issuer]}
    await stack.store(make_instance(**own))
    await stack.drain()
    assert (await assert_valid(stack)).keys() == {"Patient", "Endpoint", "ImagingStudy"}


BROKEN = [
    ("Patient", lambda one: one | {"nickname": "x"}, "Patient"),
    ("Endpoint", lambda one: one | {"name": ""}, "Endpoint.name"),
    ("ImagingStudy", lambda one: one | {"modality": [{"system": DCM, "code": "NONE"}]}, "ImagingStudy.modality[0]"),
    ("Device", lambda one: one | {"deviceName": [{"name": "x"}]}, "Device.deviceName[0]"),
    ("Observation", lambda one: {name: one[name] for name in one if name != "status"}, "Observation"),
]


async def test_what_is_wrong_is_seen(stack):
    """The checks above can fail, at every type."""
    image = next(ct_study(series=1, instances=1))
    await stack.store(image, dose_report(image))
    await stack.drain()
    for kind, broken, path in BROKEN:
        found, *_ = await stack.resources(kind)
        assert wrong_elements(stack.fhir, found) == []
        assert set(wrong_elements(stack.fhir, broken(found))) == {path}
