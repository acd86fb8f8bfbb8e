"""Numbers and units of NUM items."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.content_tree import ContentItem
from shared.dicom.values import Attributes
from shared.mapping.dose import codes
from shared.mapping.dose.quantity import UNITS, integer, quantity
from tests.unit.datasets import codes as found_codes
from tests.unit.datasets import dataset
from tests.unit.dose.reports import coded, empty_num, num

ROWS = {row.keyword: row for row in (*codes.X_RAY_TOTALS, *codes.NUCLEAR_TOTALS, *codes.EVENT_VALUES)}
DAP, DLP, RP, AGD = "DoseAreaProductTotal", "CTDoseLengthProductTotal", "DoseRPTotal", "AccumulatedAverageGlandularDose"
FRAMES = "TotalNumberOfRadiographicFrames"


def _read(keyword, item, read=quantity):
    attributes = Attributes(item)
    return read(ContentItem(attributes), ROWS[keyword]), found_codes(attributes.findings)


@pytest.mark.parametrize(
    ("keyword", "value", "unit", "scaled", "written"),
    [
        (DLP, 724.52, "mGycm", 724.52, "mGy.cm"),
        (DLP, "0.00", "mGy.cm", 0, "mGy.cm"),
        (DAP, "1.6e-005", "Gym2", 160, "mGy.cm2"),
        (DAP, 1.6e-05, "Gym2", 160, "mGy.cm2"),
        (DAP, "1.3316568E-6", "Gy.m2", 13.316568, "mGy.cm2"),
        (DAP, "0.00000580999970", "Gy.m2", 58.099997, "mGy.cm2"),
        (DAP, "2.5", "dGy.cm2", 250, "mGy.cm2"),
        (DAP, "2.5", "cGy.cm2", 25, "mGy.cm2"),
        (DAP, "2.5", "uGy.m2", 25, "mGy.cm2"),
        (DAP, 17, "mGy.cm2", 17, "mGy.cm2"),
        (RP, 0.00029927175492, "Gy", 0.29927175492, "mGy"),
        (RP, 3, "mGy", 3, "mGy"),
        (RP, "0.000000000e+00", "Gy", 0, "mGy"),
        (AGD, "0.04688100000000", "dGy", 4.6881, "mGy"),
        (AGD, -0.0, "mGy", 0, "mGy"),
        ("TotalFluoroTime", "+28.", "s", 28, "s"),
        ("TotalFluoroTime", ".5", "min", 30, "s"),
        ("TotalFluoroTime", "0.5", "h", 1800, "s"),
        ("AdministeredActivity", 394, "MBq", 394, "MBq"),
        ("AdministeredActivity", "1", "mCi", 37, "MBq"),
        ("RadiopharmaceuticalVolume", 2.5, "mL", 2.5, "cm3"),
    ],
)
def test_values_are_scaled_exactly(keyword, value, unit, scaled, written):
    expected = {"value": scaled, "unit": written, "system": "http://unitsofmeasure.org", "code": written}
    found, findings = _read(keyword, num("1", value, unit))
    assert (found, findings) == (expected, [])
    assert type(found["value"]) is type(scaled)


@pytest.mark.parametrize(
    ("keyword", "value", "unit", "scheme", "scaled", "written"),
    [
        (DAP, 25, "uGym2", "UCUM", 250, "mGy.cm2"),
        (DAP, "2.5", "cGycm2", "UCUM", 25, "mGy.cm2"),
        (DAP, "1.6e-5", "Gy.m^2", "UCUM", 160, "mGy.cm2"),
        (DAP, 17, "mGy.cm2", "UCM", 17, "mGy.cm2"),
    ],
)
def test_units_that_are_written_irregularly_are_recorded_and_scaled(keyword, value, unit, scheme, scaled, written):
    expected = {"value": scaled, "unit": written, "system": "http://unitsofmeasure.org", "code": written}
    found = _read(keyword, num("1", value, unit, scheme=scheme))
    assert found == (expected, [(keyword, "irregular-unit")])


DIGITS = st.integers(0, 10**14 - 1)
POINTED = st.builds(lambda digits, places: Decimal(digits).scaleb(-places), DIGITS, st.integers(0, 14))


@given(POINTED, st.sampled_from(sorted(UNITS)), st.data())
def test_what_a_decimal_string_can_hold_survives(number, unit, data):
    row = next(row for row in ROWS.values() if row.unit == unit)
    powers_of_ten = [pair for pair in sorted(UNITS[unit].items()) if pair[1].normalize().as_tuple().digits == (1,)]
    stored, factor = data.draw(st.sampled_from(powers_of_ten))
    as_sent = data.draw(st.sampled_from([str(number), float(number)]))
    found, findings = _read(row.keyword, num("1", as_sent, stored))
    assert findings == []
    assert Decimal(repr(found["value"])) == number * factor


@pytest.mark.parametrize(
    "value",
    ["garbage", "1,5", "1.5 mGy", "nan", "inf", float("nan"), float("inf"), True, {}, [], "1e9999", "9" * 65, "٣"],
)
def test_what_is_no_number_is_left_out(value):
    assert _read(DLP, num("1", [value], "mGy.cm")) == (None, [(DLP, "invalid-number")])


@pytest.mark.parametrize("value", [-1, "-0.01", "1e400", "1e-400", "1e999", 10**400])
def test_impossible_doses_are_left_out(value):
    assert _read(DLP, num("1", value, "mGy.cm")) == (None, [(DLP, "out-of-range")])


@pytest.mark.parametrize("item", [empty_num("1"), num("1", []), num("1", [None]), num("1", ""), {}])
def test_an_empty_value_is_no_value(item):
    assert _read(DLP, item) == (None, [])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (num("1", 5, "rad.cm"), {"value": 5, "unit": "rad.cm"}),
        (num("1", 5, "mGy.cm", scheme="99ACME"), {"value": 5, "unit": "mGy.cm"}),
        (num("1", 5, "MGY.CM"), {"value": 5, "unit": "MGY.CM"}),
        (num("1", 5, "mGy"), {"value": 5, "unit": "mGy"}),
        (dataset(MeasuredValueSequence=[dataset(NumericValue=5)]), {"value": 5}),
        (
            dataset(
                MeasuredValueSequence=[
                    dataset(NumericValue=5, MeasurementUnitsCodeSequence=[dataset(CodeMeaning="rem cm")])
                ]
            ),
            {"value": 5, "unit": "rem cm"},
        ),
    ],
)
def test_unknown_units_are_not_guessed_at(item, expected):
    assert _read(DLP, item) == (expected, [(DLP, "unknown-unit")])


def test_version_of_ucum_does_not_matter():
    unit = coded("UCUM:mGy.cm", CodingSchemeVersion="1.4")
    item = dataset(MeasuredValueSequence=[dataset(NumericValue=5, MeasurementUnitsCodeSequence=[unit])])
    assert _read(DLP, item)[0]["code"] == "mGy.cm"


def test_a_qualifier_beside_a_number_is_ignored():
    item = num("1", 5, "mGy.cm") | dataset(NumericValueQualifierCodeSequence=[coded("114007")])
    assert _read(DLP, item)[0]["value"] == 5


def test_the_first_of_several_numbers():
    found, findings = _read(DLP, num("1", [5, 6], "mGy.cm"))
    assert (found["value"], findings) == (5, [(DLP, "several-values")])


@pytest.mark.parametrize(
    ("value", "expected", "findings"),
    [
        ("0.00", 0, []),
        (5.0, 5, []),
        ("12", 12, []),
        ("1.2e1", 12, []),
        ("5.5", None, [(FRAMES, "invalid-integer")]),
        (-1, None, [(FRAMES, "out-of-range")]),
        (2**31, None, [(FRAMES, "out-of-range")]),
        ("1e300", None, [(FRAMES, "out-of-range")]),
        ("many", None, [(FRAMES, "invalid-number")]),
        ([], None, []),
    ],
)
def test_counts(value, expected, findings):
    assert _read(FRAMES, num("1", value, "1"), integer) == (expected, findings)
