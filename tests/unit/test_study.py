"""Datasets of a metadata answer, by instance."""

import pytest

from shared.dicom.study import by_instance
from tests.unit.datasets import STUDY, dataset, instance_dataset, key

A, B, C = key(1, 1), key(1, 2), key(2, 1)


def test_datasets_by_instance():
    rows = [instance_dataset(2, 1), instance_dataset(1, 2), instance_dataset(1, 1)]
    assert by_instance(STUDY, rows) == ({C: rows[0], B: rows[1], A: rows[2]}, 0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(instance_dataset(StudyInstanceUID=None), A, id="study not said"),
        pytest.param(instance_dataset(SOPInstanceUID=f"{A.sop_instance_uid}\0"), A, id="padded"),
        pytest.param(instance_dataset(StudyInstanceUID="1.9"), None, id="of another study"),
        pytest.param(instance_dataset(SeriesInstanceUID=None), None, id="no series"),
        pytest.param(instance_dataset(SOPInstanceUID=None), None, id="no instance"),
        pytest.param(instance_dataset(SOPInstanceUID="x"), None, id="instance invalid"),
        pytest.param(dataset(), None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param("dataset", None, id="text"),
        pytest.param([instance_dataset()], None, id="list"),
    ],
)
def test_dataset_that_is_one_of_the_study_or_is_counted(row, expected):
    assert by_instance(STUDY, [row]) == (({expected: row}, 0) if expected else ({}, 1))


def test_one_that_cannot_be_read_spoils_no_other():
    assert by_instance(STUDY, [None, instance_dataset(), "x"]) == ({A: instance_dataset()}, 2)


def test_no_datasets():
    assert by_instance(STUDY, []) == ({}, 0)
