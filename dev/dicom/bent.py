"""How one feed entry or one instance's metadata is served when it was asked to be odd or broken."""

import json
from typing import Any

from dev.dicom.call import Refused
from dev.dicom.service import Shape

ENTRY_MALFORMATIONS = frozenset(
    {"not_an_object", "missing_uid", "unknown_action", "bad_metadata", "unknown_member", "broken_json"}
)
METADATA_MALFORMATIONS = frozenset({"nan", "nulls", "strings", "not_a_dataset", "broken_json", "status_503"})
CASINGS = frozenset({"camel", "pascal", "lower_enums"})


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def entry(shape: Shape, members: dict[str, Any], metadata: bytes | None) -> bytes:
    """One entry of the feed as bytes."""
    if members["sequence"] in shape.rows_instead:
        return shape.rows_instead[members["sequence"]]
    how = shape.entries.get(members["sequence"])
    match how:
        case "broken_json":
            return b'{"sequence": tru'
        case "not_an_object":
            return _bytes("not an object")
        case "missing_uid":
            del members["studyInstanceUid"]
        case "unknown_action":
            members["action"] = "Archive"
        case "unknown_member":
            members["colour"] = {"of": ["nothing"]}
        case "bad_metadata":
            metadata = _bytes("not a dataset") if metadata else None
    name = "metadata"
    if shape.casing == "pascal":
        members = {_pascal(member): value for member, value in members.items()}
        name = "Metadata"
    if shape.casing == "lower_enums":
        members |= {member: members[member].lower() for member in ("action", "state")}
    head = _bytes(members)
    return head if metadata is None else head[:-1] + f',"{name}":'.encode() + metadata + b"}"


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def metadata(shape: Shape, sop_instance_uid: str, content: bytes) -> bytes:
    """The metadata of one instance as bytes; `status_503` refuses the whole answer."""
    if sop_instance_uid in shape.metadata_instead:
        return shape.metadata_instead[sop_instance_uid]
    how = shape.metadata.get(sop_instance_uid)
    match how:
        case None:
            return content
        case "status_503":
            raise Refused(503, "The metadata of an instance could not be read.")
        case "broken_json":
            return content[: len(content) // 2]
        case "not_a_dataset":
            return _bytes("not a dataset")
    attributes = json.loads(content)
    match how:
        case "nan":
            # what the managed service prints for values that JSON has no number for
            attributes["00189306"] = {"vr": "FD", "Value": ["NaN"]}
            attributes["00189461"] = {"vr": "FL", "Value": ["Infinity", "-Infinity"]}
        case "nulls":
            attributes["00280030"] = {"vr": "DS", "Value": [0.5, None]}
            attributes["00080008"] = {"vr": "CS", "Value": ["ORIGINAL", None]}
            attributes["00081070"] = {"vr": "PN", "Value": [None]}
        case "strings":
            _stringify(attributes)
    return _bytes(dict(sorted(attributes.items())))


def _stringify(attributes: dict[str, Any]) -> None:
    """Every DS and IS as text, nested ones included."""
    for element in attributes.values():
        values = element.get("Value", [])
        if element["vr"] == "SQ":
            for item in values:
                _stringify(item)
        if element["vr"] in ("DS", "IS"):
            element["Value"] = [value if value is None else str(value) for value in values]
