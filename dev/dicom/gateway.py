"""What a gateway in front of the service does to answers on request; the service itself never does any of it.

It changes single rows of the feed and the metadata of single instances: other casing, broken JSON, other types.
"""

import json
from dataclasses import dataclass, field
from typing import Any

ENTRY_MALFORMATIONS = frozenset(
    {"not_an_object", "missing_uid", "unknown_action", "bad_metadata", "unknown_member", "broken_json"}
)
METADATA_MALFORMATIONS = frozenset({"nan", "nulls", "strings", "not_a_dataset", "broken_json"})
CASINGS = frozenset({"camel", "pascal", "lower_enums"})
WISHES = {"casing", "malform", "malform_metadata", "rows_instead", "metadata_instead"}
_UID = "00080018"


class UnknownError(ValueError):
    """A wish names something that is not there."""


@dataclass(slots=True)
class Gateway:
    """Casing, what is broken where (feed rows by sequence, metadata by SOPInstanceUID), what is answered instead."""

    casing: str = "camel"
    entries: dict[int, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    rows_instead: dict[int, bytes] = field(default_factory=dict)
    metadata_instead: dict[str, bytes] = field(default_factory=dict)

    def use(self, wishes: dict[str, Any]) -> None:
        """Add to what is changed; raises ValueError or KeyError on a wish that is unknown.

        casing; malform: `sequence` and `how`; malform_metadata: `sop_instance_uid` and `how`; rows_instead and
        metadata_instead: any JSON, by sequence and by SOP Instance UID.
        """
        if unknown := wishes.keys() - WISHES:
            raise UnknownError(f"unknown: {', '.join(sorted(unknown))}")
        if "casing" in wishes:
            self.casing = _one_of(CASINGS, wishes["casing"])
        if "malform" in wishes:
            self.entries[wishes["malform"]["sequence"]] = _one_of(ENTRY_MALFORMATIONS, wishes["malform"]["how"])
        if "malform_metadata" in wishes:
            wish = wishes["malform_metadata"]
            self.metadata[wish["sop_instance_uid"]] = _one_of(METADATA_MALFORMATIONS, wish["how"])
        # in ASCII, which holds even halves of characters
        for sequence, row in wishes.get("rows_instead", {}).items():
            self.rows_instead[int(sequence)] = json.dumps(row).encode()
        for uid, content in wishes.get("metadata_instead", {}).items():
            self.metadata_instead[uid] = json.dumps(content).encode()

    def changes(self, route: str) -> bool:
        """Whether answers of this route are changed at all."""
        anywhere = bool(self.metadata or self.metadata_instead)
        rows = self.casing != "camel" or self.entries or self.rows_instead
        return (route == "metadata" and anywhere) or (route in ("changefeed", "latest") and bool(rows or anywhere))

    def changed(self, route: str, body: bytes) -> bytes:
        """The answer of a route with what was asked for in place of what the service said."""
        content = json.loads(body)
        if route == "latest":
            return self._entry(content)
        part = self._entry if route == "changefeed" else self._metadata
        return b"[" + b",".join(part(each) for each in content) + b"]"

    def _entry(self, members: dict[str, Any]) -> bytes:
        if members["sequence"] in self.rows_instead:
            return self.rows_instead[members["sequence"]]
        metadata = self._metadata(members.pop("metadata")) if "metadata" in members else None
        match self.entries.get(members["sequence"]):
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
        if self.casing == "pascal":
            members = {_pascal(member): value for member, value in members.items()}
            name = "Metadata"
        if self.casing == "lower_enums":
            members |= {member: members[member].lower() for member in ("action", "state")}
        head = _bytes(members)
        return head if metadata is None else head[:-1] + f',"{name}":'.encode() + metadata + b"}"

    def _metadata(self, attributes: dict[str, Any]) -> bytes:
        uid = attributes[_UID]["Value"][0]
        if uid in self.metadata_instead:
            return self.metadata_instead[uid]
        match self.metadata.get(uid):
            case "broken_json":
                content = _bytes(attributes)
                return content[: len(content) // 2]
            case "not_a_dataset":
                return _bytes("not a dataset")
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


def _one_of(known: frozenset[str], value: str) -> str:
    if value not in known:
        raise UnknownError(f"{value!r} is none of {', '.join(sorted(known))}")
    return value


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def _stringify(attributes: dict[str, Any]) -> None:
    """Every DS and IS as text, nested ones included."""
    for element in attributes.values():
        values = element.get("Value", [])
        if element["vr"] == "SQ":
            for item in values:
                _stringify(item)
        if element["vr"] in ("DS", "IS"):
            element["Value"] = [value if value is None else str(value) for value in values]
