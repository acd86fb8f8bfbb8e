"""Equipment that can be identified, and its Device."""

import pytest

from shared.dicom.values import Attributes
from shared.fhir.validation import check_valid
from shared.mapping.device import Equipment, device_identity, equipment_of, new_device
from tests.unit.datasets import dataset

SCANNER = Equipment("ACME", "Ray", "SN1", "", "CT01", ("VA1", "VA2"))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"Manufacturer": "ACME", "ManufacturerModelName": "Ray", "StationName": "CT01"}, None, id="names"),
        pytest.param({"DeviceSerialNumber": "SN1"}, None, id="a serial number without its manufacturer"),
        pytest.param(
            {"Manufacturer": " ACME ", "DeviceSerialNumber": "SN1"},
            Equipment("ACME", serial_number="SN1"),
            id="manufacturer and serial number",
        ),
        pytest.param({"DeviceUID": "1.2.3"}, Equipment(device_uid="1.2.3"), id="Device UID"),
        pytest.param({"DeviceUID": "none"}, None, id="no UID"),
        pytest.param(
            {
                "Manufacturer": "ACME",
                "ManufacturerModelName": "Ray",
                "DeviceSerialNumber": "SN1",
                "StationName": "CT01",
                "SoftwareVersions": ["VA1", "VA2"],
            },
            SCANNER,
            id="everything",
        ),
    ],
)
def test_equipment(attributes, expected):
    assert equipment_of(Attributes(dataset(**attributes))) == expected


def test_device():
    device = new_device(SCANNER)
    own, serial_number = device.pop("identifier")
    assert own == {"system": "urn:ietf:rfc:3986", "value": device_identity(SCANNER).value}
    assert serial_number == {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "SNO"}]},
        "value": "SN1",
    }
    assert device == {
        "resourceType": "Device",
        "manufacturer": "ACME",
        "serialNumber": "SN1",
        "deviceName": [{"name": "Ray", "type": "model-name"}, {"name": "CT01", "type": "user-friendly-name"}],
        "version": [{"value": "VA1"}, {"value": "VA2"}],
    }
    check_valid(new_device(SCANNER))
    check_valid(new_device(Equipment(device_uid="1.2.3")))


def test_whatever_distinguishes_equipment_is_in_its_identity():
    others = [
        Equipment("Acme", "Ray", "SN1", "", "CT01", ("VA1", "VA2")),
        Equipment("ACME", "Ray2", "SN1", "", "CT01", ("VA1", "VA2")),
        Equipment("ACME", "Ray", "SN2", "", "CT01", ("VA1", "VA2")),
        Equipment("ACME", "Ray", "SN1", "1.2", "CT01", ("VA1", "VA2")),
        Equipment("ACME", "Ray", "SN1", "", "CT02", ("VA1", "VA2")),
        Equipment("ACME", "Ray", "SN1", "", "CT01", ("VA1", "VA3")),
    ]
    assert len({device_identity(one).value for one in [SCANNER, *others]}) == 7


def test_an_identity_is_the_same_in_every_process():
    """What is stored on servers must be found again by later versions."""
    assert device_identity(SCANNER).value == "urn:uuid:3034cb91-601d-50b4-b985-a576ad50ecb5"
