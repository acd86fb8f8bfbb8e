"""Values of the DICOM JSON model: PS3.18 F.2, PS3.5 6.2, and what archives really send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.values import Attributes, PersonName, tag_of
from tests.unit.datasets import codes, dataset, read, read_element

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
METHODS = ("values", "texts", "text", "uid", "integer", "date", "time", "person_names", "items")


@pytest.mark.parametrize(
    ("keyword", "tag"),
    [("PatientID", "00100020"), ("SOPClassUID", "00080016"), ("TimezoneOffsetFromUTC", "00080201")],
)
def test_keyword_is_read_from_its_tag(keyword, tag):
    assert tag_of(keyword) == tag


def test_unknown_keyword_is_a_defect_of_the_app():
    with pytest.raises(KeyError):
        tag_of("PatientsShoeSize")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], [], id="empty element"),
        pytest.param([None], [], id="null"),
        pytest.param([""], [], id="empty text"),
        pytest.param([None, "AXIAL"], ["AXIAL"], id="first component empty"),
        pytest.param(["ORIGINAL", None, "AXIAL"], ["ORIGINAL", "AXIAL"], id="component between empty"),
        pytest.param([0], [0], id="zero is a value"),
        pytest.param([0.0, 1.5], [0.0, 1.5], id="DS as numbers"),
    ],
)
def test_values_that_are_there(values, expected):
    assert read("values", "ImageType", *values) == (expected, [])


def test_attribute_that_is_absent_has_no_values():
    attributes = Attributes({})
    assert (attributes.values("PatientID"), attributes.text("PatientID"), attributes.findings) == ([], None, [])


@pytest.mark.parametrize(
    "element",
    [
        pytest.param("MRN-0001", id="text"),
        pytest.param(["MRN-0001"], id="list"),
        pytest.param(7, id="number"),
        pytest.param({"vr": "LO", "Value": "MRN-0001"}, id="Value is text"),
        pytest.param({"vr": "LO", "Value": {"0": "MRN-0001"}}, id="Value is an object"),
        pytest.param({"vr": "LO", "Value": 7}, id="Value is a number"),
    ],
)
def test_malformed_element_is_found_and_has_no_value(element):
    assert read_element("text", "PatientID", element) == (None, [("PatientID", "malformed-element")])


@pytest.mark.parametrize(
    "element",
    [
        pytest.param(None, id="null"),
        pytest.param({"vr": "LO"}, id="no Value"),
        pytest.param({}, id="empty object"),
        pytest.param({"vr": "OW", "BulkDataURI": "bulk/1"}, id="bulk data"),
        pytest.param({"vr": "OB", "InlineBinary": ["AA=="]}, id="inline binary"),
        pytest.param({"vr": "LO", "Value": []}, id="empty list"),
    ],
)
def test_element_without_values_is_no_finding(element):
    assert read_element("text", "PatientID", element) == (None, [])


@pytest.mark.parametrize(
    ("values", "text", "found"),
    [
        pytest.param(["MRN-0001"], "MRN-0001", [], id="LO"),
        pytest.param(["  MRN 0001 "], "MRN 0001", [], id="padded with spaces"),
        pytest.param(["MRN-0001\0"], "MRN-0001", [], id="padded with NUL"),
        pytest.param(["   "], None, [], id="only padding"),
        pytest.param([42], "42", [], id="IS as number"),
        pytest.param([0], "0", [], id="zero"),
        pytest.param([2.5], "2.5", [], id="DS as number"),
        pytest.param(["NaN"], "NaN", [], id="FL NaN as text"),
        pytest.param(["MÜLLER^JÖRG"], "MÜLLER^JÖRG", [], id="not ASCII"),
        pytest.param(["A", "B"], "A", ["several-values"], id="two values"),
        pytest.param([None, "B"], "B", [], id="null and a value"),
        pytest.param([" ", "B"], "B", [], id="padding and a value"),
        pytest.param([True], None, ["not-text"], id="boolean"),
        pytest.param([["A"]], None, ["not-text"], id="list in list"),
        pytest.param([{"Alphabetic": "A"}], None, ["not-text"], id="PN where LO is due"),
        pytest.param([{}, "B"], "B", ["not-text"], id="object and a value"),
    ],
)
def test_text(values, text, found):
    assert read("text", "PatientID", *values) == (text, [("PatientID", code) for code in found])


@pytest.mark.parametrize(
    ("value", "uid", "found"),
    [
        pytest.param("1.2.840.10008.1.1", "1.2.840.10008.1.1", [], id="regular"),
        pytest.param("1.2.840.10008.1.1\0", "1.2.840.10008.1.1", [], id="padded with NUL"),
        pytest.param("2.25.0", "2.25.0", [], id="component zero"),
        pytest.param("1.2.03.4", "1.2.03.4", ["irregular-uid"], id="leading zero"),
        pytest.param("1..2", None, ["invalid-uid"], id="empty component"),
        pytest.param("1." + "2" * 62, "1." + "2" * 62, [], id="64 characters"),
        pytest.param("1." + "2" * 63, None, ["invalid-uid"], id="65 characters"),
        pytest.param("1.2.", None, ["invalid-uid"], id="dot at the end"),
        pytest.param("1.2.x", None, ["invalid-uid"], id="letter"),
        pytest.param("1.2/../3", None, ["invalid-uid"], id="path"),
        pytest.param("1.2.٣", None, ["invalid-uid"], id="digit of another script"),
        pytest.param("1.2 3", None, ["invalid-uid"], id="space within"),
        pytest.param(None, None, [], id="null"),
    ],
)
def test_uid(value, uid, found):
    assert read("uid", "SeriesInstanceUID", value) == (uid, [("SeriesInstanceUID", code) for code in found])


@pytest.mark.parametrize(
    ("value", "integer", "found"),
    [
        pytest.param(7, 7, [], id="number"),
        pytest.param("7", 7, [], id="text"),
        pytest.param(" 7 ", 7, [], id="padded"),
        pytest.param("007", 7, [], id="leading zeros"),
        pytest.param("+7", 7, [], id="plus"),
        pytest.param("-7", -7, [], id="minus"),
        pytest.param(0, 0, [], id="zero"),
        pytest.param(7.0, 7, [], id="number with fraction zero"),
        pytest.param("7.00", 7, [], id="text with fraction zero"),
        pytest.param("7.5", None, ["invalid-integer"], id="fraction"),
        pytest.param(7.5, None, ["invalid-integer"], id="number with fraction"),
        pytest.param("1e3", None, ["invalid-integer"], id="exponent"),
        pytest.param("seven", None, ["invalid-integer"], id="word"),
        pytest.param("NaN", None, ["invalid-integer"], id="NaN as text"),
        pytest.param(float("nan"), None, ["not-text"], id="NaN"),
        pytest.param("Infinity", None, ["invalid-integer"], id="Infinity as text"),
        pytest.param("-Infinity", None, ["invalid-integer"], id="-Infinity as text"),
        pytest.param(float("inf"), None, ["not-text"], id="Infinity"),
        pytest.param(None, None, [], id="null"),
    ],
)
def test_integer(value, integer, found):
    assert read("integer", "InstanceNumber", value) == (integer, [("InstanceNumber", code) for code in found])


@pytest.mark.parametrize(
    ("value", "date", "found"),
    [
        pytest.param("20210301", "2021-03-01", [], id="DA"),
        pytest.param("20200229", "2020-02-29", [], id="leap day"),
        pytest.param("2021.03.01", "2021-03-01", ["irregular-date"], id="ACR-NEMA, dotted"),
        pytest.param("202103", "2021-03", [], id="month"),
        pytest.param("2021.03", "2021-03", ["irregular-date"], id="month, dotted"),
        pytest.param("2021", "2021", [], id="year"),
        pytest.param(20210301, "2021-03-01", [], id="number"),
        pytest.param("20210301 ", "2021-03-01", [], id="padded"),
        pytest.param("20210229", None, ["invalid-date"], id="no leap year"),
        pytest.param("20211301", None, ["invalid-date"], id="month 13"),
        pytest.param("20210100", None, ["invalid-date"], id="day 0"),
        pytest.param("00000000", None, ["invalid-date"], id="all zeros"),
        pytest.param("0000", None, ["invalid-date"], id="year zero"),
        pytest.param("2021-03-01", None, ["invalid-date"], id="ISO 8601"),
        pytest.param("20210301-20210302", None, ["invalid-date"], id="range"),
        pytest.param("210301", None, ["invalid-date"], id="six digits of a year to come: YYMMDD, likely"),
        pytest.param("202103", "2021-03", [], id="six digits are year and month"),
        pytest.param("2021030", None, ["invalid-date"], id="seven digits"),
        pytest.param("20210301101530", None, ["invalid-date"], id="DT"),
        pytest.param("unknown", None, ["invalid-date"], id="word"),
        pytest.param("２０２１０３０１", None, ["invalid-date"], id="full-width digits"),  # noqa: RUF001
        pytest.param(None, None, [], id="null"),
    ],
)
def test_date(value, date, found):
    assert read("date", "StudyDate", value) == (date, [("StudyDate", code) for code in found])


@pytest.mark.parametrize(
    ("value", "time", "found"),
    [
        pytest.param("101530", "10:15:30", [], id="TM"),
        pytest.param("101530.123456", "10:15:30.123456", [], id="six fractional digits"),
        pytest.param("101530.1", "10:15:30.1", [], id="one fractional digit"),
        pytest.param("101530.1234567", None, ["invalid-time"], id="seven fractional digits"),
        pytest.param("101530.", None, ["invalid-time"], id="dot without digits"),
        pytest.param("1015", "10:15:00", [], id="minute"),
        pytest.param("10", "10:00:00", [], id="hour"),
        pytest.param("10:15:30", "10:15:30", [], id="ACR-NEMA, colons"),
        pytest.param("000000", "00:00:00", [], id="midnight"),
        pytest.param("235959", "23:59:59", [], id="last second"),
        pytest.param("235960", "23:59:60", [], id="leap second"),
        pytest.param("235961", None, ["invalid-time"], id="second 61"),
        pytest.param("240000", None, ["invalid-time"], id="24:00"),
        pytest.param("24", None, ["invalid-time"], id="hour 24"),
        pytest.param("106000", None, ["invalid-time"], id="minute 60"),
        pytest.param("1", None, ["invalid-time"], id="one digit"),
        pytest.param("101530 ", "10:15:30", [], id="padded"),
        pytest.param("noon", None, ["invalid-time"], id="word"),
        pytest.param("1０1530", None, ["invalid-time"], id="full-width digits"),  # noqa: RUF001
        pytest.param(None, None, [], id="null"),
    ],
)
def test_time(value, time, found):
    assert read("time", "StudyTime", value) == (time, [("StudyTime", code) for code in found])


@pytest.mark.parametrize(
    ("value", "offset", "found"),
    [
        pytest.param("+0100", "+01:00", [], id="east"),
        pytest.param("-0330", "-03:30", [], id="west"),
        pytest.param("+0000", "+00:00", [], id="UTC"),
        pytest.param("+1400", "+14:00", [], id="easternmost"),
        pytest.param("-1200", "-12:00", [], id="westernmost"),
        pytest.param("+0545", "+05:45", [], id="quarter"),
        pytest.param("-0000", None, ["invalid-offset"], id="minus zero, forbidden by PS3.3 C.12.1.1.8"),
        pytest.param("+1430", None, ["invalid-offset"], id="east of the easternmost"),
        pytest.param("+1500", None, ["invalid-offset"], id="+15"),
        pytest.param("+0160", None, ["invalid-offset"], id="minute 60"),
        pytest.param("0100", None, ["invalid-offset"], id="no sign"),
        pytest.param("+01:00", None, ["invalid-offset"], id="colon"),
        pytest.param("Z", None, ["invalid-offset"], id="Z"),
        pytest.param("+0１00", None, ["invalid-offset"], id="full-width digits"),  # noqa: RUF001
        pytest.param(None, None, [], id="null"),
    ],
)
def test_utc_offset(value, offset, found):
    attributes = Attributes(dataset(TimezoneOffsetFromUTC=value))
    expected = (offset, [("TimezoneOffsetFromUTC", code) for code in found])
    assert (attributes.utc_offset(), codes(attributes.findings)) == expected


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        pytest.param("Rivera", PersonName("Rivera", "", "", "", ""), [], id="1 component"),
        pytest.param("Rivera^Ana", PersonName("Rivera", "Ana", "", "", ""), [], id="2 components"),
        pytest.param("Rivera^Ana^Maria", PersonName("Rivera", "Ana", "Maria", "", ""), [], id="3 components"),
        pytest.param("Rivera^Ana^Maria^Dr", PersonName("Rivera", "Ana", "Maria", "Dr", ""), [], id="4 components"),
        pytest.param("Rivera^Ana^Maria^Dr^Jr", PersonName("Rivera", "Ana", "Maria", "Dr", "Jr"), [], id="5 components"),
        pytest.param(
            "Rivera^Ana^Maria^Dr^Jr^x",
            PersonName("Rivera", "Ana", "Maria", "Dr", "Jr"),
            ["too-many-components"],
            id="6 components",
        ),
        pytest.param("^Ana", PersonName("", "Ana", "", "", ""), [], id="no family name"),
        pytest.param(" Rivera ^ Ana\0", PersonName("Rivera", "Ana", "", "", ""), [], id="padded components"),
        pytest.param("Rivera^^^^", PersonName("Rivera", "", "", "", ""), [], id="trailing delimiters"),
    ],
)
@pytest.mark.parametrize("as_object", [True, False], ids=["object", "bare text"])
def test_components_of_a_person_name(text, name, found, as_object):
    value = {"Alphabetic": text} if as_object else text
    expected = ({"Alphabetic": name}, [("PatientName", code) for code in found])
    assert read("person_names", "PatientName", value) == expected


YAMADA = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
YAMADA_NAMES = {
    "Alphabetic": PersonName("Yamada", "Tarou", "", "", ""),
    "Ideographic": PersonName("山田", "太郎", "", "", ""),
    "Phonetic": PersonName("やまだ", "たろう", "", "", ""),
}


@pytest.mark.parametrize(
    ("values", "names", "found"),
    [
        pytest.param([YAMADA], YAMADA_NAMES, [], id="three groups"),
        pytest.param(
            [{"Ideographic": YAMADA["Ideographic"]}],
            {"Ideographic": YAMADA_NAMES["Ideographic"]},
            [],
            id="ideographic only",
        ),
        pytest.param([], {}, [], id="empty element"),
        pytest.param([None], {}, [], id="null"),
        pytest.param([{}], {}, [], id="only delimiters, sent as empty object"),
        pytest.param([{"Alphabetic": "^^^"}], {}, [], id="only delimiters"),
        pytest.param([{"Alphabetic": None}], {}, [], id="group null"),
        pytest.param(
            [{"Alphabetic": "=".join(YAMADA.values())}], YAMADA_NAMES, ["irregular-name"], id="all groups in one"
        ),
        pytest.param(
            [{"Alphabetic": "A=B^C"}],
            {"Alphabetic": PersonName("A", "", "", "", ""), "Ideographic": PersonName("B", "C", "", "", "")},
            ["irregular-name"],
            id="two groups in one",
        ),
        pytest.param([YAMADA, {"Alphabetic": "Other"}], YAMADA_NAMES, ["several-values"], id="two names"),
        pytest.param([5], {}, ["invalid-name"], id="number"),
        pytest.param([["Yamada"]], {}, ["invalid-name"], id="list"),
        pytest.param([{"Alphabetic": 5}], {}, ["invalid-name"], id="group that is no text"),
    ],
)
def test_groups_of_a_person_name(values, names, found):
    assert read("person_names", "PatientName", *values) == (names, [("PatientName", code) for code in found])


@pytest.mark.parametrize(
    ("values", "items", "found"),
    [
        pytest.param([], [], [], id="empty sequence"),
        pytest.param([{}], [{}], [], id="empty item"),
        pytest.param([None, dataset(CodeValue="T-A0100")], [dataset(CodeValue="T-A0100")], [], id="null and an item"),
        pytest.param(["T-A0100"], [], ["malformed-item"], id="text"),
    ],
)
def test_items_of_a_sequence(values, items, found):
    expected = (items, [("AnatomicRegionSequence", code) for code in found])
    assert read("items", "AnatomicRegionSequence", *values) == expected


def test_findings_of_an_item_are_findings_of_the_dataset():
    attributes = Attributes(dataset(RequestAttributesSequence=dataset(StudyInstanceUID="x")))
    uids = [item.uid("StudyInstanceUID") for item in attributes.items("RequestAttributesSequence")]
    assert (uids, codes(attributes.findings)) == ([None], [("StudyInstanceUID", "invalid-uid")])


def test_a_finding_is_recorded_once():
    attributes = Attributes(dataset(StudyDate="never"))
    assert [attributes.date("StudyDate") for _ in range(2)] == [None, None]
    assert codes(attributes.findings) == [("StudyDate", "invalid-date")]


@given(JSON, st.sampled_from(METHODS))
def test_no_element_makes_reading_fail(element, method):
    attributes = Attributes({tag_of("StudyDate"): element})
    result = getattr(attributes, method)("StudyDate")
    if method == "items":
        list(result)
    assert all(finding.keyword == "StudyDate" for finding in attributes.findings)


@given(st.lists(JSON, max_size=3), st.sampled_from(METHODS))
def test_no_value_makes_reading_fail(values, method):
    attributes = Attributes({tag_of("StudyDate"): {"vr": "DA", "Value": values}})
    result = getattr(attributes, method)("StudyDate")
    if method == "items":
        list(result)
    assert all(finding.keyword == "StudyDate" for finding in attributes.findings)
