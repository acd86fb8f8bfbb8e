"""Refused elements where several studies, several elements or passing reasons are concerned."""

import pytest

from shared.model import DEFAULT_PARTITION, StudyKey
from shared.sync.others import look_again
from tests.builders import make_instance, study_uid
from tests.flow.test_damaged_speaker import study_of
from tests.flow.test_dose import report
from tests.flow.test_dose_faults import images
from tests.flow.test_refused_elements import ZONE, refuses
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

pytestmark = pytest.mark.usefixtures("prompt")
EQUIPMENT = {"Manufacturer": "M", "ManufacturerModelName": "X", "DeviceSerialNumber": "1"}
PERFORMER = "ImagingStudy.series[0].performer[0].actor"


@pytest.mark.parametrize("good_first", [True, False])
async def test_refused_birth_date_and_a_second_study(stack, between, good_first):
    before = await between("fhir")
    before["fhir"].use([refuses('"birthDate":"1800', "Patient.birthDate")])
    await stack.store(make_instance(1, PatientBirthDate="19700102"))
    await stack.store(make_instance(2, PatientBirthDate="18000102"))
    await stack.poll()
    texts = sorted(await stack.messages())
    one, two = (t for n in (1, 2) for t in texts if study_uid(n) + '"' in t)
    await stack.run(*([one, two] if good_first else [two, one]))
    await stack.drain()
    patient = await stack.one("Patient")
    assert patient.get("birthDate") == "1970-01-02"


async def test_refused_description_and_its_note(stack, between):
    before = await between("fhir")
    before["fhir"].use([refuses('"description":"CT head"', "ImagingStudy.description")])
    await stack.store(make_instance(1, **ZONE))
    await stack.drain()
    for n in (2, 3):
        await stack.store(make_instance(1, 1, n, **ZONE))
        await stack.drain()
    study = await stack.one("ImagingStudy")
    assert len(study.get("note", [])) <= 1
    await stack.bulk_update(study_uid(1), **dataset(StudyDescription="other"))
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert (study["note"], study["description"]) == ([{"text": "other"}], "other")


async def test_six_refused_one_at_a_time(stack, between):
    before = await between("fhir")
    rules = [refuses(f'"bad{n}"', f"ImagingStudy.series[{n - 1}].description") for n in range(1, 7)]
    before["fhir"].use(rules)
    await stack.store(*[make_instance(1, n, 1, SeriesDescription=f"bad{n}") for n in range(1, 7)])
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert not any("description" in s for s in study["series"])


async def test_reference_refused_once(stack, between):
    before = await between("fhir")
    await stack.store(make_instance(1, **EQUIPMENT))
    before["fhir"].use([{**refuses('"performer"', PERFORMER), "times": 1}])
    await stack.drain()
    study = await stack.one("ImagingStudy")
    assert "performer" in study["series"][0]


async def test_device_gone_and_refused(stack, between):
    before = await between("fhir")
    await stack.store(make_instance(1, **EQUIPMENT))
    await stack.drain()
    device = await stack.one("Device")
    await stack.http.delete(f"{stack.fhir}/Device/{device['id']}")
    before["fhir"].use([refuses(f"Device/{device['id']}", PERFORMER)])
    await stack.store(make_instance(2, **EQUIPMENT))
    await stack.drain()
    study, _ = await study_of(stack, 2)
    assert "performer" in study["series"][0]


async def test_refused_names_whole_patient_name_twice(stack, between):
    before = await between("fhir")
    before["fhir"].use([refuses('"Yamada"', "Patient.name[0]"), refuses('"山田"', "Patient.name[0]")])
    await stack.store(make_instance(1, SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎"))
    await stack.drain()
    assert "name" not in await stack.one("Patient")


async def test_an_element_refused_in_a_later_bundle_makes_no_duplicates(stack, between):
    """The bundles before it were carried out."""
    before = await between("fhir")
    await stack.store(*images(1, 13), report(ct_report(list(range(1, 12)))))
    before["fhir"].use([{**refuses("valueString", "Bundle.entry[0].resource.valueString"), "skip": 1, "times": 2}])
    await stack.drain()
    assert before["fhir"].rules.stats.faults.total() == 2
    for left_out in (1, 0):  # whoever asks for the study has it tried again
        made = await stack.resources("Observation")
        assert len({one["identifier"][0]["value"] for one in made}) == len(made) > 10
        assert sum("valueString" not in one for one in made) == left_out
        await stack.app.queue.send(look_again(StudyKey(DEFAULT_PARTITION, STUDY), 0))
        await stack.drain()
