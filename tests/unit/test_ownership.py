"""Our elements over stored ones."""

from copy import deepcopy

import pytest

from shared.fhir.ownership import (
    has_marked,
    overlay,
    put,
    put_shared,
    replace_owned,
    same_content,
    source_of,
    take_back,
)


@pytest.mark.parametrize(
    ("stored", "ours", "expected"),
    [
        pytest.param({}, {"a": 1}, {"a": 1}, id="new"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="replaced"),
        pytest.param({"a": 1}, {}, {}, id="ours, no longer said"),
        pytest.param({"x": 1}, {"a": 2}, {"x": 1, "a": 2}, id="of others stays"),
        pytest.param({"a": 1, "b": 2, "x": 3}, {"b": 4}, {"x": 3, "b": 4}, id="all of it"),
        pytest.param({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"y": 2}}, id="replaced as a whole"),
    ],
)
def test_overlay(stored, ours, expected):
    before = deepcopy(stored)
    assert overlay(stored, ours, ("a", "b")) == expected
    assert stored == before


def test_overlay_shares_nothing_with_ours():
    ours = {"a": [{"b": 1}]}
    overlay({}, ours, "a")["a"][0]["b"] = 2
    assert ours == {"a": [{"b": 1}]}


@pytest.mark.parametrize(
    ("stored", "ours", "expected"),
    [
        pytest.param([], [1], [1], id="new"),
        pytest.param([1], [2], [2], id="replaced"),
        pytest.param([1], [], [], id="removed"),
        pytest.param([100, 1, 200], [2], [100, 200, 2], id="others keep their place"),
        pytest.param([100], [100], [100], id="said by others already"),
        pytest.param([100, 1], [1], [100, 1], id="unchanged"),
    ],
)
def test_items_of_a_list(stored, ours, expected):
    assert replace_owned(stored, ours, lambda item: item < 100) == expected


def test_replacing_twice_is_replacing_once():
    once = replace_owned([1, 100], [2], lambda item: item < 100)
    assert replace_owned(once, [2], lambda item: item < 100) == once


@pytest.mark.parametrize("value", [None, "", [], {}], ids=["null", "empty text", "empty list", "empty object"])
def test_nothing_is_not_put(value):
    element = {"a": 1, "b": 2}
    put(element, "a", value)
    assert element == {"b": 2}
    put(element, "a", value)
    assert element == {"b": 2}


@pytest.mark.parametrize("value", [0, False, "x", [0], {"y": 1}], ids=["zero", "false", "text", "list", "object"])
def test_something_is_put(value):
    element = {"a": 1}
    put(element, "a", value)
    assert element == {"a": value}
    assert type(element["a"]) is type(value)


STORED = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "1"}, "text": {"div": "x"}, "gender": "female"}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param({"resourceType": "Patient", "gender": "female"}, True, id="without what servers keep"),
        pytest.param(STORED | {"meta": {"versionId": "2"}}, True, id="other version"),
        pytest.param(STORED | {"text": {"div": "y"}}, True, id="other narrative"),
        pytest.param(dict(reversed(STORED.items())), True, id="other order of elements"),
        pytest.param(STORED | {"gender": "male"}, False, id="other value"),
        pytest.param(STORED | {"active": True}, False, id="one more element"),
        pytest.param({"resourceType": "Patient"}, False, id="one less element"),
        pytest.param(STORED | {"meta": {"source": "urn:a#Xv"}}, True, id="a source where there was none"),
    ],
)
def test_same_content(other, same):
    assert (same_content(STORED, other), same_content(other, STORED)) == (same, same)


@pytest.mark.parametrize(
    ("resource", "source"),
    [
        pytest.param({"meta": {"source": "https://dicom/"}}, "https://dicom/", id="as sent"),
        pytest.param({"meta": {"source": "https://dicom/#XvB3"}}, "https://dicom/", id="with HAPI's request id"),
        pytest.param({"meta": {}}, "", id="no source"),
        pytest.param({}, "", id="no meta"),
    ],
)
def test_source(resource, source):
    assert source_of(resource) == source


OURS = {"id": "dicom-a"}


@pytest.mark.parametrize(
    ("stored", "value", "expected"),
    [
        pytest.param({}, 1, {"a": 1, "_a": OURS}, id="new"),
        pytest.param({}, None, {}, id="nothing"),
        pytest.param({"a": 0}, 1, {"a": 0}, id="theirs"),
        pytest.param({"a": 0}, None, {"a": 0}, id="theirs, and nothing"),
        pytest.param({"a": 0, "_a": {"id": "x"}}, 1, {"a": 0, "_a": {"id": "x"}}, id="theirs with an id"),
        pytest.param(
            {"_a": {"extension": ["absent"]}}, 1, {"_a": {"extension": ["absent"]}}, id="theirs without a value"
        ),
        pytest.param({"a": 0, "_a": OURS}, 1, {"a": 1, "_a": OURS}, id="ours, replaced"),
        pytest.param({"a": 0, "_a": OURS}, None, {}, id="ours, removed"),
        pytest.param(
            {"a": 0, "_a": OURS | {"extension": ["x"]}}, 1, {"a": 1, "_a": OURS | {"extension": ["x"]}}, id="extended"
        ),
        pytest.param({}, {"code": "x"}, {"a": OURS | {"code": "x"}}, id="new object"),
        pytest.param({"a": {"code": "y"}}, {"code": "x"}, {"a": {"code": "y"}}, id="object of theirs"),
        pytest.param({"a": OURS | {"code": "y"}}, {"code": "x"}, {"a": OURS | {"code": "x"}}, id="object of ours"),
        pytest.param({"a": OURS | {"code": "y"}}, None, {}, id="object of ours, removed"),
    ],
)
def test_single_element_of_a_shared_resource(stored, value, expected):
    put_shared(stored, "a", value, "dicom-a")
    assert stored == expected


THEIRS = {
    "id": "dicom-theirs",  # of the resource itself
    "contained": [{"resourceType": "Device", "id": "dicom-theirs"}],
    "a": 1,
    "_a": {"id": "x"},
    "given": ["b", None],
    "_given": [None, {"id": "y"}],
    "list": [{"id": "z", "value": 2}],
    "empty": [],
    "object": {"value": {"value": 3}},
}


def test_what_is_marked_is_taken_back_at_any_depth():
    both = THEIRS | {
        "c": 4,
        "_c": OURS,
        "list": [*THEIRS["list"], OURS | {"value": 5}],
        "object": {"value": {"value": 3, "d": OURS}, "e": [OURS]},
        "f": OURS,
        "g": [OURS],
    }
    assert take_back(both, "dicom-") == THEIRS
    assert take_back(THEIRS, "dicom-") == THEIRS
    assert has_marked(both["object"], "dicom-")
    assert not has_marked({"contained": THEIRS["contained"], "a": [1, {"id": "x"}]}, "dicom-")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("https://a/", "https://a/#XvB3", True, id="decorated"),
        pytest.param("https://a/", "https://b/", False, id="another"),
        pytest.param("https://a/" + "x" * 200, "https://a/" + "x" * 90, True, id="cut at 100 characters"),
        pytest.param("https://a/" + "x" * 200, "https://a/" + "x" * 89, False, id="shorter than servers cut"),
        pytest.param("https://a/" + "x" * 200, "https://a/" + "y" * 90, False, id="another of that length"),
    ],
)
def test_a_source_of_another_service_is_a_difference(one, other, same):
    pair = [STORED | {"meta": {"source": source}} for source in (one, other)]
    assert (same_content(*pair), same_content(*pair[::-1])) == (same, same)


@pytest.mark.parametrize(
    ("beside", "left"),
    [({"id": "x"}, None), ({"id": "x", "extension": [{}]}, {"id": "x", "extension": [{}]}), (None, None)],
)
def test_no_id_is_left_alone_where_a_value_goes(beside, left):
    """It would be an element with neither a value nor children (ele-1)."""
    element = {"a": "b"} | ({"_a": beside} if beside else {})
    put(element, "a", None)
    assert element == ({"_a": left} if left else {})
