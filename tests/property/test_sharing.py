"""Datasets that share what they have in common say what they said."""

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.sharing import SOP_INSTANCE_UID, Sharing

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
    modality = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    texts = [{SOP_INSTANCE_UID: {"vr": "UI", "Value": [uid]}, **modality} for uid in "123"]
    first, second, third = shared(json.dumps(texts))
    assert first["00080060"] is second["00080060"] is third["00080060"]
    assert [one[SOP_INSTANCE_UID]["Value"] for one in (first, second, third)] == [["1"], ["2"], ["3"]]
