"""What somebody else adds between the look at a resource and its delete stays."""

import pytest

from tests.builders import make_instance, study_uid
from tests.flow.test_dose import path, report
from tests.unit.dose.reports import ct_report

THEIRS = {
    "uid": "1.9.9",
    "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "US"},
    "instance": [{"uid": "1.9.9.1", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.3"}}],
}


@pytest.fixture
def meanwhile(stack, monkeypatch):
    """Have somebody else write once, when the app has read and planned all that its next pass writes."""

    def arrange(write):
        fhir, done = stack.app.fhir, []
        transact = fhir.transact

        async def late(entries):
            if not done:
                done.append(await write())
            return await transact(entries)

        monkeypatch.setattr(fhir, "transact", late)
        return done

    return arrange


async def test_a_series_that_somebody_else_adds_to_a_study_stays(stack, meanwhile):
    await stack.store(make_instance())
    await stack.drain()
    stored = await stack.one("ImagingStudy")

    async def add():
        await stack.put({**stored, "series": [*stored["series"], THEIRS]})

    done = meanwhile(add)
    await stack.delete(study_uid(1))
    await stack.drain()
    assert done
    study = await stack.one("ImagingStudy")
    assert [series["uid"] for series in study["series"]] == ["1.9.9"]


async def test_what_somebody_else_says_of_a_dose_is_read_before_it_goes(stack, meanwhile):
    """The report is gone, so its Observation goes, too: but not before what was added was seen."""
    await stack.store(report(ct_report((1,))))
    await stack.drain()
    observations = await stack.resources("Observation")
    changed = observations[0] | {"note": [{"text": "checked"}]}
    done = meanwhile(lambda: stack.put(changed))
    await stack.delete(path(1))
    await stack.drain()
    assert done
    assert await stack.resources("Observation") == []
