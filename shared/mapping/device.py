"""Pure: Device, the equipment of the General Equipment Module (PS3.3 C.7.5.1, https://hl7.org/fhir/R4/device.html).

A Device stands for one equipment as it was: whatever distinguishes it is part of its identity. So it never changes, it
does not matter which study is seen first, and a study of last year keeps the software that made it.
"""

import json
import uuid
from dataclasses import astuple, dataclass
from typing import Any

from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, Resource, by_identifier
from shared.fhir.systems import DICOM_IDENTIFIER_TYPE, DICOM_UID, IDENTIFIER_TYPE, SERIAL_NUMBER, URI
from shared.mapping.table import Row

# an identity is a UUID of version 5 in this namespace, over the JSON list of what distinguishes the equipment
NAMESPACE = uuid.UUID("6f3b4c0e-5f0a-5d57-9f0e-2f1f6a1d7c11")


@dataclass(frozen=True, slots=True)
class Equipment:
    """What distinguishes one equipment from another; empty where it is not said."""

    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    device_uid: str = ""
    station: str = ""
    software_versions: tuple[str, ...] = ()

    @property
    def is_identifiable(self) -> bool:
        """Whether two that say the same are the same: names of stations and models are not unique."""
        return bool(self.device_uid or (self.manufacturer and self.serial_number))


def equipment_of(attributes: Attributes) -> Equipment | None:
    """The equipment of a dataset; None unless it is identifiable."""
    equipment = Equipment(
        manufacturer=_text(attributes, "Manufacturer"),
        model=_text(attributes, "ManufacturerModelName"),
        serial_number=_text(attributes, "DeviceSerialNumber"),
        device_uid=attributes.uid("DeviceUID") or "",
        station=_text(attributes, "StationName"),
        software_versions=tuple(" ".join(text.split()) for text in attributes.texts("SoftwareVersions")),
    )
    return equipment if equipment.is_identifiable else None


def device_identity(equipment: Equipment) -> ByIdentifier:
    """`urn:ietf:rfc:3986` | `urn:uuid:…`, the same for the same equipment in every study and report."""
    name = json.dumps(astuple(equipment), ensure_ascii=False)
    return by_identifier("Device", URI, f"urn:uuid:{uuid.uuid5(NAMESPACE, name)}")


def new_device(equipment: Equipment) -> Resource:
    """The Device to create."""
    identity = device_identity(equipment)
    identifiers: list[dict[str, Any]] = [{"system": identity.system, "value": identity.value}]
    if equipment.serial_number:
        identifiers.append({"type": _type(IDENTIFIER_TYPE, SERIAL_NUMBER), "value": equipment.serial_number})
    if equipment.device_uid:
        device_uid = {"system": DICOM_UID, "value": f"urn:oid:{equipment.device_uid}"}
        identifiers.append({"type": _type(DICOM_IDENTIFIER_TYPE, "device-uid"), **device_uid})
    names = [(equipment.model, "model-name"), (equipment.station, "user-friendly-name")]
    elements: dict[str, Any] = {
        "identifier": identifiers,
        "manufacturer": equipment.manufacturer,
        "serialNumber": equipment.serial_number,
        "deviceName": [{"name": name, "type": kind} for name, kind in names if name],
        "version": [{"value": version} for version in equipment.software_versions],
    }
    return {"resourceType": "Device", **{name: value for name, value in elements.items() if value}}


def _type(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _text(attributes: Attributes, keyword: str) -> str:
    return " ".join((attributes.text(keyword) or "").split())


DEVICE_ROWS = (
    Row("Device.manufacturer", "Manufacturer", "PS3.3 C.7.5.1"),
    Row("Device.deviceName", "ManufacturerModelName", "PS3.3 C.7.5.1", note="type `model-name`"),
    Row("Device.deviceName", "StationName", "PS3.3 C.7.5.1", note="type `user-friendly-name`"),
    Row("Device.serialNumber", "DeviceSerialNumber", "PS3.3 C.7.5.1", note="also an identifier of type SNO"),
    Row("Device.identifier", "DeviceUID", "PS3.3 C.7.5.1", note="system `urn:dicom:uid`, type `device-uid`"),
    Row("Device.version", "SoftwareVersions", "PS3.3 C.7.5.1", note="one each"),
)
