"""The local stack for tests: real processes, started once, emptied for each test."""

import pytest

from dev.process import Part


def _part(request, *args):
    part = Part(args)
    request.addfinalizer(part.stop)
    return part


@pytest.fixture(scope="session")
def azurite(request):
    """Table and queue storage."""
    return _part(request, "azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0").urls


@pytest.fixture(scope="session")
def dicom_service(request):
    """The DICOM service stand-in."""
    return _part(request, "dicom", "--port", "0").urls["url"]


@pytest.fixture(scope="session")
def fhir_server(request):
    """The FHIR server under test."""
    return _part(request, "fhir", "--port", "0").urls["url"]


@pytest.fixture(scope="session")
def second_fhir_server(request):
    """Another FHIR server, for fresh projections to compare with."""
    return _part(request, "fhir", "--port", "0").urls["url"]
