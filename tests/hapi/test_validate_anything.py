"""Whatever a dataset says, what the mapping makes of it passes `$validate`: the laws of tests/property, by HAPI."""

import re

import pytest
from hypothesis import given, settings

from shared.mapping.device import new_device
from shared.mapping.patient import PatientRules
from shared.mapping.study_layer import equipment_by_series
from tests.hapi.validation import wrong_elements
from tests.property import test_mapping_properties as properties

pytestmark = pytest.mark.timeout(900)
SOME = settings(properties.LAW, max_examples=60)
# a code is written under the system that the dataset names for it, whether or not the system has it
CLAIMED = re.compile(r"\.(procedureCode|reasonCode|bodySite)\b")


def assert_valid(fhir, *resources):
    wrong = {path for one in resources for path in wrong_elements(fhir, one) if not CLAIMED.search(path)}
    assert wrong == set()


@SOME
@given(properties.STUDIES, properties.ZONES)
def test_studies_and_devices(fhir_server, rows, zone):
    devices = map(new_device, set(equipment_by_series(properties._content(rows, zone)).values()))
    assert_valid(fhir_server, properties._laid(rows, zone).resource, *devices)


@SOME
@given(properties.PERSONS)
def test_patients(fhir_server, said):
    assert_valid(fhir_server, properties._patient(said, PatientRules("urn:x")))


@SOME
@given(properties.ANY_REPORTS, properties.ZONES)
def test_observations(fhir_server, rows, zone):
    assert_valid(fhir_server, *properties._observations(rows, zone)[0].values())
