"""Whether the service can read the metadata that it wrote (dicom-server: JsonDicomConverter.cs).

It reads the stored JSON again at every request. Its reader refuses what its writer wrote for a few legal and illegal
values; such an instance is stored, and then every answer that needs its metadata fails until it is deleted.
"""

from dev.dicom.model import Attributes, Element

_NUMBERS = frozenset({"DS", "IS", "SV", "UV", "FL", "FD", "SL", "SS", "UL", "US"})
_LARGEST_DECIMAL = 79_228_162_514_264_337_593_543_950_335  # System.Decimal.MaxValue


def is_damaged(attributes: Attributes) -> bool:
    """True where an element of the dataset, or of an item in it, cannot be read again."""
    return any(_element_is_damaged(element) for element in attributes.values())


def _element_is_damaged(element: Element) -> bool:
    vr, values = element["vr"], element.get("Value", ())
    if vr == "SQ":
        return any(is_damaged(item) for item in values)
    if vr == "UC":
        return len(values) > 1
    if vr not in _NUMBERS:
        return False
    if None in values or (vr not in ("FL", "FD") and "NaN" in values):
        return True
    return vr == "DS" and any(isinstance(value, int | float) and abs(value) > _LARGEST_DECIMAL for value in values)
