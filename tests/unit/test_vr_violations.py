"""Values that break the rules of their VR (PS3.5 6.2): one decided outcome each, as value and finding."""

import pytest

from shared.dicom.content_tree import ContentItem
from shared.dicom.values import Attributes, PersonName
from shared.mapping.dose.codes import X_RAY_TOTALS
from shared.mapping.dose.quantity import quantity
from shared.mapping.patient import demographics
from shared.mapping.started import date_time
from shared.mapping.title import title
from tests.unit.datasets import codes, dataset, read

DAP = next(row for row in X_RAY_TOTALS if row.keyword == "DoseAreaProductTotal")


def _decided(method, keyword, value, expected, found):
    assert read(method, keyword, value) == (expected, [(keyword, code) for code in found])


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("2021.03.01", "2021-03-01", ["irregular-date"], id="dotted"),
        pytest.param("2021.0301", "2021-03-01", ["irregular-date"], id="one dot"),
        pytest.param("20210230", None, ["invalid-date"], id="30 February"),
        pytest.param("2021", "2021", [], id="year"),
        pytest.param("202103", "2021-03", [], id="year and month"),
        pytest.param("20211301", None, ["invalid-date"], id="month 13"),
        pytest.param("2021-03-01", None, ["invalid-date"], id="dashes"),
        pytest.param("20210301\0", "2021-03-01", [], id="padded with NUL"),
        pytest.param("2021030١", None, ["invalid-date"], id="Arabic digit"),  # noqa: RUF001
        pytest.param("20210301\\20210302", None, ["invalid-date"], id="two in one text"),
    ],
)
def test_da(value, expected, found):
    _decided("date", "StudyDate", value, expected, found)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("24:00", None, ["invalid-time"], id="24:00"),
        pytest.param("240000", None, ["invalid-time"], id="240000"),
        pytest.param("10:15", "10:15:00", [], id="colon"),
        pytest.param("101560", "10:15:60", [], id="second 60, of whichever minute"),
        pytest.param("101561", None, ["invalid-time"], id="second 61"),
        pytest.param("101530.1234567", None, ["invalid-time"], id="seven fractional digits"),
        pytest.param("10:1530", "10:15:30", [], id="one colon"),
        pytest.param("1015.5", None, ["invalid-time"], id="fraction of a minute"),
        pytest.param("101530+0100", None, ["invalid-time"], id="with an offset, as DT"),
        pytest.param(101530, "10:15:30", [], id="number"),
        pytest.param(91530, None, ["invalid-time"], id="number that lost its zero"),
    ],
)
def test_tm(value, expected, found):
    _decided("time", "StudyTime", value, expected, found)


@pytest.mark.parametrize(
    ("date", "time", "expected", "found"),
    [
        pytest.param(
            "20210301", "240000", "2021-03-01", [("StudyTime", "invalid-time")], id="time invalid: date alone"
        ),
        pytest.param("20210230", "101530", None, [("StudyDate", "invalid-date")], id="date invalid: nothing"),
        pytest.param("202103", "101530", "2021-03", [], id="no day: no time"),
        pytest.param("20210301", "101560", "2021-03-01", [("StudyTime", "leap-second")], id="second 60: date alone"),
        pytest.param(
            "0001.01.01",
            "00",
            "0001-01-01",
            [("StudyDate", "irregular-date"), ("StudyDate", "out-of-range")],
            id="year 1, year 0 by UTC: date alone",
        ),
    ],
)
def test_da_and_tm_together(date, time, expected, found):
    attributes = Attributes(dataset(StudyDate=date, StudyTime=time, TimezoneOffsetFromUTC="+0100"))
    assert date_time(attributes, "StudyDate", "StudyTime", "") == expected
    assert codes(attributes.findings) == found


@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [
        pytest.param("A^B^C^D^E^F", PersonName("A", "B", "C", "D", "E"), ["too-many-components"], id="six components"),
        pytest.param("^^^^^", None, ["too-many-components"], id="only carets, six components"),
        pytest.param("^^^^", None, [], id="only carets"),
        pytest.param(" ^ ^\0", None, [], id="only carets and padding"),
        pytest.param("x" * 70, PersonName("x" * 70, "", "", "", ""), ["too-long"], id="70 characters"),
        pytest.param("x" * 40 + "^" + "y" * 23, PersonName("x" * 40, "y" * 23, "", "", ""), [], id="64 characters"),
        pytest.param("山" * 64, PersonName("山" * 64, "", "", "", ""), [], id="64 characters, more bytes"),
        pytest.param("A\x1b^B", PersonName("A", "B", "", "", ""), ["invalid-characters"], id="ESC"),
        pytest.param("A\\B^C", PersonName("A\\B", "C", "", "", ""), [], id="backslash"),
        pytest.param("Mc Donald-O'Neil^Zoë ", PersonName("Mc Donald-O'Neil", "Zoë", "", "", ""), [], id="punctuation"),
    ],
)
def test_pn(text, expected, found):
    groups = {"Alphabetic": expected} if expected else {}
    _decided("person_names", "PatientName", {"Alphabetic": text}, groups, found)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("1.2.03.4", "1.2.03.4", ["irregular-uid"], id="leading zero"),
        pytest.param("00.1", "00.1", ["irregular-uid"], id="leading zero of the root"),
        pytest.param("1." + "2" * 63, None, ["invalid-uid"], id="65 characters"),
        pytest.param("1.2.3\0", "1.2.3", [], id="trailing NUL"),
        pytest.param("1.2.3 ", "1.2.3", [], id="trailing space"),
        pytest.param("1.2.3 \0", "1.2.3", [], id="trailing space and NUL"),
        pytest.param("1.2.3\0 ", "1.2.3", ["invalid-characters"], id="trailing NUL and space"),
        pytest.param(" 1.2.3", "1.2.3", [], id="leading space"),
        pytest.param("1.2.a", None, ["invalid-uid"], id="letter"),
        pytest.param("urn:oid:1.2.3", None, ["invalid-uid"], id="URN"),
        pytest.param("1.2.3\\1.2.4", None, ["invalid-uid"], id="two in one text"),
        pytest.param("1..2", None, ["invalid-uid"], id="empty component"),
        pytest.param(".1", None, ["invalid-uid"], id="begins with a dot"),
        pytest.param("1.", None, ["invalid-uid"], id="ends with a dot"),
        pytest.param("3.1", "3.1", [], id="root that does not exist"),
        pytest.param(1.2, "1.2", [], id="number"),
    ],
)
def test_ui(value, expected, found):
    _decided("uid", "DeviceUID", value, expected, found)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("12345.678901234567", 12345.678901234567, [], id="18 characters"),
        pytest.param("1e400", None, ["out-of-range"], id="text beyond what JSON readers hold"),
        pytest.param(float("inf"), None, ["invalid-number"], id="number beyond what JSON readers hold"),
        pytest.param("1e-400", None, ["out-of-range"], id="text too small"),
        pytest.param("1e999", None, ["out-of-range"], id="exponent far beyond"),
        pytest.param("0." + "1" * 70, None, ["invalid-number"], id="72 characters"),
        pytest.param("1e17", 100000000000000000, [], id="exponent"),
        pytest.param("1,5", None, ["invalid-number"], id="comma"),
        pytest.param("1.5\\2.5", None, ["invalid-number"], id="two in one text"),
        pytest.param("-0.0", 0, [], id="minus zero"),
        pytest.param("-1", None, ["out-of-range"], id="negative dose"),
        pytest.param(".5", 0.5, [], id="no digit before the point"),
        pytest.param("5.", 5, [], id="no digit after the point"),
        pytest.param(" 1.5 ", 1.5, [], id="padded"),
        pytest.param("NaN", None, ["invalid-number"], id="NaN as text"),
        pytest.param("0x10", None, ["invalid-number"], id="hexadecimal"),
        pytest.param(True, None, ["invalid-number"], id="boolean"),
    ],
)
def test_ds(value, expected, found):
    """The only DS values that are mapped are those of dose reports."""
    unit = dataset(CodeValue="mGy.cm2", CodingSchemeDesignator="UCUM")
    measured = dataset(NumericValue=value, MeasurementUnitsCodeSequence=unit)
    item = ContentItem(Attributes(dataset(MeasuredValueSequence=measured)))
    result = quantity(item, DAP)
    assert (result and result["value"]) == expected
    assert codes(item.attributes.findings) == [(DAP.keyword, code) for code in found]


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("1.0", 1, [], id="fraction zero"),
        pytest.param(1.0, 1, [], id="number with fraction zero"),
        pytest.param("1e3", None, ["invalid-integer"], id="exponent as text"),
        pytest.param(1e3, 1000, [], id="exponent as number"),
        pytest.param(99999999999999, None, ["invalid-integer"], id="14 digits as number"),
        pytest.param("99999999999999", None, ["too-long", "invalid-integer"], id="14 digits as text"),
        pytest.param("999999999999", 999999999999, [], id="12 digits"),
        pytest.param("1\\2", None, ["invalid-integer"], id="two in one text"),
        pytest.param("", None, [], id="empty"),
        pytest.param("- 1", None, ["invalid-integer"], id="space within"),
        pytest.param("１", None, ["invalid-integer"], id="full-width digit"),  # noqa: RUF001
        pytest.param(False, None, ["not-text"], id="boolean"),
    ],
)
def test_is(value, expected, found):
    _decided("integer", "InstanceNumber", value, expected, found)


@pytest.mark.parametrize(
    ("keyword", "longest"),
    [
        pytest.param("StudyDescription", 64, id="LO"),
        pytest.param("AccessionNumber", 16, id="SH"),
        pytest.param("InstitutionAddress", 1024, id="ST"),
        pytest.param("AdditionalPatientHistory", 10240, id="LT"),
        pytest.param("Modality", 16, id="CS"),
    ],
)
def test_over_long_text_is_used_as_it_is(keyword, longest):
    _decided("text", keyword, "x" * longest, "x" * longest, [])
    _decided("text", keyword, "山" * longest, "山" * longest, [])
    _decided("text", keyword, "x" * longest + "  ", "x" * longest, [])
    _decided("text", keyword, "x" * (longest + 1), "x" * (longest + 1), ["too-long"])
    _decided("text", keyword, "x" * 100_000, "x" * 100_000, ["too-long"])


@pytest.mark.parametrize(
    ("sex", "expected", "found"),
    [
        pytest.param("f", {}, [("PatientSex", "unknown-code")], id="lower case"),
        pytest.param("Female", {}, [("PatientSex", "unknown-code")], id="word"),
        pytest.param("F\\M", {}, [("PatientSex", "unknown-code")], id="two in one text"),
        pytest.param(["F", "M"], {"gender": "female"}, [("PatientSex", "several-values")], id="two values"),
    ],
)
def test_cs_has_no_other_forms(sex, expected, found):
    attributes = Attributes(dataset(PatientSex=sex))
    assert (demographics(attributes), codes(attributes.findings)) == (expected, found)


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [
        pytest.param("Größe, façade, Ελληνικά, русский", "Größe, façade, Ελληνικά, русский", [], id="European"),
        pytest.param("頭部CT、造影なし", "頭部CT、造影なし", [], id="Japanese"),
        pytest.param("두부 전산화단층촬영", "두부 전산화단층촬영", [], id="Korean"),
        pytest.param("صدر שלום", "صدر שלום", [], id="right to left"),
        pytest.param("सिर का सीटी", "सिर का सीटी", [], id="Devanagari"),
        pytest.param("e\u0301", "e\u0301", [], id="combining character: not normalised"),
        pytest.param("👩\u200d⚕️ 𠮷", "👩\u200d⚕️ 𠮷", [], id="beyond the basic plane"),
        pytest.param("\u202eabc\u202c", "\u202eabc\u202c", [], id="direction marks"),
        pytest.param("\ufeffCT", "\ufeffCT", [], id="byte order mark"),
        pytest.param("a\u00a0b\u3000c", "a\u00a0b\u3000c", [], id="wide and hard spaces within"),
        pytest.param("\u3000CT\u00a0", "CT", [], id="wide and hard spaces around"),
        pytest.param("two\r\nlines\tand a tab", "two\r\nlines\tand a tab", [], id="line break and tab"),
        pytest.param("a\0b", "ab", ["invalid-characters"], id="NUL within"),
        pytest.param("\0\0", None, [], id="only NUL"),
        pytest.param("\x1b$B;3ED\x1b(B", "$B;3ED(B", ["invalid-characters"], id="escape sequences of ISO 2022"),
        pytest.param("a\fb\x7f", "ab", ["invalid-characters"], id="form feed, delete"),
        pytest.param("\ud83d", None, ["invalid-characters"], id="lone surrogate"),
        pytest.param("\x07", None, ["invalid-characters"], id="only a control character"),
        pytest.param("a\\b", "a\\b", [], id="backslash"),
    ],
)
def test_text_of_any_script(value, expected, found):
    _decided("text", "StudyDescription", value, expected, found)


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        pytest.param("AccessionNumber", "A1\\A2", "A1\\A2", id="SH"),
        pytest.param("Modality", "CT\\MR", "CT\\MR", id="CS"),
        pytest.param("ReasonForTheRequestedProcedure", "left\\right", "left\\right", id="LO"),
    ],
)
def test_backslash_in_one_text_makes_no_second_value(keyword, value, expected):
    """In DICOM JSON each value is a member of the array (PS3.18 F.2.5); a backslash is a character like any other."""
    _decided("text", keyword, value, expected, [])


@pytest.mark.parametrize(
    "value", [["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL\\PRIMARY\\AXIAL"]], ids=["values", "one text"]
)
def test_image_type_is_the_same_in_one_text(value):
    assert title(Attributes(dataset(ImageType=value))) == "ORIGINAL\\PRIMARY\\AXIAL"
