"""Datasets that share what they have in common say what they said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.sharing import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, Sharing

VALUES = st.one_of(st.none(), st.text(max_size=3), st.integers(-2, 2), st.lists(st.text(max_size=2), max_size=2))
ITEMS = st.dictionaries(st.sampled_from(["00080018", "00080100", "0040A730"]), VALUES, max_size=2)
ELEMENTS = st.one_of(
    VALUES, ITEMS, st.fixed_dictionaries({"vr": st.just("SQ"), "Value": st.lists(ITEMS | VALUES, max_size=2)})
)
DATASETS = st.dictionaries(st.sampled_from([SOP_INSTANCE_UID, "00080060", "00081140", "00100010"]), ELEMENTS)


def shared(text):
    return json.loads(text, object_hook=Sharing())


@given(st.lists(st.one_of(DATASETS, VALUES), max_size=6))
def test_nothing_is_changed(datasets):
    text = json.dumps(datasets)
    assert shared(text) == json.loads(text)


def test_what_is_equal_is_there_once():
    ct = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    first, second, third = shared(json.dumps([{SOP_INSTANCE_UID: {"vr": "UI", "Value": [uid]}, **ct} for uid in "123"]))
    assert first["00080060"] is second["00080060"] is third["00080060"]
    assert [one[SOP_INSTANCE_UID]["Value"] for one in (first, second, third)] == [["1"], ["2"], ["3"]]


def test_series_that_come_in_turn_share_what_they_have_in_common():
    def said(series, sop):
        uids = {SOP_INSTANCE_UID: {"Value": [sop]}, SERIES_INSTANCE_UID: {"Value": [series]}}
        return {**uids, "00080060": {"vr": "CS", "Value": [series]}, "00100010": {"vr": "PN", "Value": ["A"]}}

    ct, mr, *rest = shared(json.dumps([said(series, sop) for sop in "123" for series in ("CT", "MR")]))
    for first, other in zip([ct, mr] * 2, rest, strict=True):
        assert first["00080060"] is other["00080060"]
        assert first["00100010"] is other["00100010"]
    assert ct["00100010"] is mr["00100010"]
