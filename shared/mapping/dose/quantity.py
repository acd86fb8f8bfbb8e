"""Pure: measured values as Quantity and integer (https://hl7.org/fhir/R4/datatypes.html#Quantity).

Every value is scaled to the unit that the HL7 guide names, exactly. A unit that is not known is not guessed at: the
value stays as it is, its unit is a text and nothing claims that it is UCUM.
"""

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from shared.dicom.content_tree import ContentItem, Measured
from shared.fhir.systems import UCUM
from shared.mapping.dose.codes import Row

MAX_INTEGER = 2**31 - 1
INTEGER_DIGITS = 18
# more digits than any product of a value and a factor can have
EXACT = Context(prec=1000)


def _factors(**units: str) -> Mapping[str, Decimal]:
    return {unit: Decimal(factor) for unit, factor in units.items()}


# unit to write -> unit in the report -> factor. UCUM, and two spellings of it that are none but are common
UNITS: Mapping[str, Mapping[str, Decimal]] = {
    "mGy.cm": _factors(**{"mGy.cm": "1", "mGycm": "1", "cGy.cm": "10", "dGy.cm": "100", "Gy.cm": "1000"}),
    "mGy.cm2": _factors(
        **{
            "uGy.cm2": "0.001",
            "mGy.cm2": "1",
            "cGy.cm2": "10",
            "dGy.cm2": "100",
            "Gy.cm2": "1000",
            "uGy.m2": "10",
            "mGy.m2": "1E4",
            "Gy.m2": "1E7",
            "Gym2": "1E7",
        }
    ),
    "mGy": _factors(uGy="0.001", mGy="1", cGy="10", dGy="100", Gy="1000"),
    "s": _factors(ms="0.001", s="1", min="60", h="3600"),
    "MBq": _factors(Bq="1E-6", kBq="0.001", MBq="1", GBq="1000", mCi="37", uCi="0.037"),
    "cm3": _factors(mm3="0.001", cm3="1", ml="1", mL="1"),
}


# spellings of UCUM's units and designators of UCUM that are none, and are met
SCHEMES = ("UCUM", "UCM")


def _plain(unit: str) -> str:
    return unit.replace(".", "").replace("^", "")


def _factor(unit: str, measured: Measured) -> tuple[Decimal | None, bool]:
    """What a value in this unit is to be multiplied with, and whether the unit is written irregularly."""
    known = UNITS[unit]
    if measured.unit_scheme not in SCHEMES:
        return None, False
    if measured.unit in known:
        return known[measured.unit], measured.unit_scheme != "UCUM"
    spellings = {_plain(one): factor for one, factor in known.items()}
    return spellings.get(_plain(measured.unit)), True


def quantity(item: ContentItem, row: Row) -> dict[str, Any] | None:
    """Quantity of a NUM item; None where there is no number."""
    measured = item.measured(row.keyword)
    if measured is None:
        return None
    factor, is_irregular = _factor(row.unit, measured)
    value = json_number(EXACT.multiply(measured.number, factor or Decimal(1)))
    if value is None or measured.number < 0:
        item.attributes.find(row.keyword, "out-of-range")
        return None
    if factor is None:
        item.attributes.find(row.keyword, "unknown-unit")
        return {"value": value, "unit": measured.unit} if measured.unit else {"value": value}
    if is_irregular:
        item.attributes.find(row.keyword, "irregular-unit")
    return {"value": value, "unit": row.unit, "system": UCUM, "code": row.unit}


def integer(item: ContentItem, row: Row) -> int | None:
    """The count that a NUM item holds, whatever it says that it counts."""
    measured = item.measured(row.keyword)
    if measured is None:
        return None
    if not 0 <= measured.number <= MAX_INTEGER:
        item.attributes.find(row.keyword, "out-of-range")
        return None
    if measured.number != measured.number.to_integral_value():
        item.attributes.find(row.keyword, "invalid-integer")
        return None
    return int(measured.number)


def json_number(number: Decimal) -> int | float | None:
    """The number that JSON is written with; None where it has none.

    It is exact up to 15 digits, which is what DS can hold beside a point; more are rounded to the nearest float.
    """
    if number.adjusted() < INTEGER_DIGITS and number == number.to_integral_value():
        return int(number)
    value = float(number)
    return value if value and math.isfinite(value) else None
