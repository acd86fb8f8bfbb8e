"""Content items as vendors write them."""

import pytest

from shared.dicom.content_tree import Concept, ContentItem
from shared.dicom.values import Attributes
from tests.unit.datasets import codes, dataset, element
from tests.unit.dose.reports import code, coded, container, date_time, num, person, text, uid

UUID = "2.25.283235085899432793130293442803230951171"
DLP = Concept("DCM", "113813")


def _item(found):
    return ContentItem(Attributes(found))


def _named(**attributes):
    return _item(dataset(ConceptNameCodeSequence=[dataset(**attributes)])).concept


@pytest.mark.parametrize(
    ("attributes", "concept"),
    [
        ({"CodeValue": "113813", "CodingSchemeDesignator": "DCM"}, DLP),
        ({"CodeValue": 113813, "CodingSchemeDesignator": "DCM "}, DLP),
        ({"CodeValue": "113813", "CodingSchemeDesignator": "DCM", "CodingSchemeVersion": "01"}, DLP),
        ({"CodeValue": "113813", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Something else"}, DLP),
        ({"CodeValue": "113813", "CodingSchemeDesignator": "99DCM"}, Concept("99DCM", "113813")),
        ({"CodeValue": "113813"}, Concept("", "113813")),
        ({"LongCodeValue": "113813", "CodingSchemeDesignator": "DCM"}, DLP),
        ({"CodeValue": "G-C171", "CodingSchemeDesignator": "SRT"}, Concept("SRT", "G-C171")),
        ({"CodeValue": "G-C171", "CodingSchemeDesignator": "SNM3"}, Concept("SRT", "G-C171")),
        ({"CodeValue": "G-C171", "CodingSchemeDesignator": "99SDM"}, Concept("SRT", "G-C171")),
        ({"CodeValue": "G-C171", "CodingSchemeDesignator": "SCT"}, Concept("SRT", "G-C171")),
        ({"CodeValue": "272741003", "CodingSchemeDesignator": "SCT"}, Concept("SCT", "272741003")),
        ({"CodeValue": "", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Other"}, None),
        ({"CodeMeaning": "CT Dose Length Product Total"}, None),
    ],
)
def test_concepts_are_told_by_code_and_scheme(attributes, concept):
    assert _named(**attributes) == concept


@pytest.mark.parametrize(
    "found",
    [{}, dataset(ConceptNameCodeSequence=[]), {"0040A043": 5}, {"0040A043": {"Value": [None, "x", 1]}}],
)
def test_an_item_without_a_concept(found):
    assert _item(found).concept is None


def test_children_whatever_their_relationship_and_value_type():
    item = num("113813", 5, "mGy.cm")
    bare = {tag: value for tag, value in item.items() if tag not in ("0040A010", "0040A040")}
    odd = item | dataset(ValueType="HAS CONCEPT MOD", RelationshipType=None)
    root = _item(container("113811", item, bare, odd, code("121049", "RFC5646:en")))
    assert [child.measured("X").number for child in root.those(DLP)] == [5, 5, 5]
    assert len(root.children) == 4


@pytest.mark.parametrize("content", [None, [], {"Value": "x"}, {"Value": [None]}, {"vr": "SQ"}, 7])
def test_no_children(content):
    assert _item({"0040A730": content}).children == []


def test_ten_thousand_levels_are_no_risk():
    deep = {}
    for _ in range(10_000):
        deep = {"0040A730": {"vr": "SQ", "Value": [deep]}}
    assert len(_item(deep).children) == 1


@pytest.mark.parametrize(
    ("found", "expected", "findings"),
    [
        (uid("113769", "1.2.3"), "1.2.3", []),
        (uid("113769", "1.2.3\0"), "1.2.3", []),
        (text("113769", "1.2.3"), "1.2.3", []),
        (uid("113769", UUID), UUID, []),
        (uid("113769", "1.02.3"), "1.02.3", [("K", "irregular-uid")]),
        (uid("113769", "11090"), None, [("K", "invalid-uid")]),
        (uid("113769", "7.1"), None, [("K", "invalid-uid")]),
        (uid("113769", "1.2.x"), None, [("K", "invalid-uid")]),
        (uid("113769", "1." * 40 + "1"), None, [("K", "invalid-uid")]),
        (uid("113769", None), None, []),
    ],
)
def test_uids(found, expected, findings):
    item = _item(found)
    assert (item.uid("K"), codes(item.attributes.findings)) == (expected, findings)


def test_other_values():
    assert _item(text("121106", " words ")).text == "words"
    assert _item(date_time("111526", "20210301")).date_time == "20210301"
    assert _item(code("113764", "113620")).value_concept == Concept("DCM", "113620")
    assert _item(person("Roe^Jane", value_type="PERSON NAME")).person_names["Alphabetic"].family == "Roe"


def test_a_code_that_is_missing():
    assert _item(dataset(ConceptCodeSequence=[])).value_concept is None
    assert _item(dataset(ConceptCodeSequence=[dataset(CodeMeaning="Chest")])).value_concept is None
    assert _item({}).value_concept is None


def test_the_unit_without_a_code():
    unit = dataset(CodeMeaning="no units")
    item = dataset(MeasuredValueSequence=[dataset(NumericValue=5, MeasurementUnitsCodeSequence=[unit])])
    assert _item(item).measured("K")[1:] == ("no units", "")


def test_findings_of_items_are_those_of_the_root():
    root = _item(container("113811", num("113813", "x", "mGy.cm") | {"0040A043": element("ValueType")}))
    (child,) = root.children
    child.measured("K")
    assert codes(root.attributes.findings) == [("K", "invalid-number")]
    assert coded("113813")["00080100"]["Value"] == ["113813"]
