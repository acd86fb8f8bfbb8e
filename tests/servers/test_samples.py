import json
import subprocess
import sys
from collections import Counter

import pydicom
import pytest
from pydicom import config

from dev.load import Counts, files_below, store, studies_url
from dev.process import running
from dev.samples import ct_study, pydicom_files, write_ct_study


def test_files_of_pydicom_are_files_that_came_with_it():
    files = pydicom_files()
    assert len(files) > 100
    assert all(file.is_file() and "pydicom" in file.parts for file in files)


def test_made_up_study_spreads_its_instances_over_its_series():
    instances = list(ct_study(series=4, instances=30))
    assert Counter(int(each.SeriesNumber) for each in instances) == {1: 8, 2: 8, 3: 7, 4: 7}
    assert len({each.StudyInstanceUID for each in instances}) == 1
    assert len({each.SeriesInstanceUID for each in instances}) == 4
    assert len({each.SOPInstanceUID for each in instances}) == 30


def test_same_seed_gives_the_same_study():
    once, again, other = (list(ct_study(seed=seed, instances=8)) for seed in (5, 5, 6))
    assert once == again
    assert {each.SOPInstanceUID for each in once}.isdisjoint(each.SOPInstanceUID for each in other)


def test_written_study_is_valid_dicom(tmp_path, monkeypatch):
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    for file in write_ct_study(tmp_path, instances=8):
        dataset = pydicom.dcmread(file)
        dataset.decode()
        assert [each.value for each in dataset.iterall()]
        assert dataset.pixel_array.shape == (16, 16)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_files_below_takes_files_and_folders(tmp_path):
    write_ct_study(tmp_path / "a" / "b", instances=4)
    single = write_ct_study(tmp_path / "c", instances=1)
    found = files_below([tmp_path / "a", *single])
    assert [file.name for file in found] == ["01-0001.dcm", "02-0001.dcm", "03-0001.dcm", "04-0001.dcm", "01-0001.dcm"]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("http://host:1", "http://host:1/v2/studies"),
        ("http://host:1/v1/", "http://host:1/v1/studies"),
        ("http://host:1/vendor", "http://host:1/vendor/v2/studies"),
    ],
)
def test_version_is_added_to_the_url_when_it_names_none(service, expected):
    assert studies_url(service) == expected


@pytest.fixture(scope="module")
def dicom():
    with running("dicom", "--port", "0") as part:
        yield part.urls["url"]


def test_stored_once_and_already_there_after(dicom, tmp_path):
    files = write_ct_study(tmp_path, seed=2, instances=60)
    assert store(files, dicom) == Counts(stored=60)
    assert store(files, dicom) == Counts(already_there=60)


def test_refusals_are_counted_by_reason(dicom, tmp_path):
    (tmp_path / "text.txt").write_text("no DICOM")
    (tmp_path / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"broken")
    write_ct_study(tmp_path, seed=3, instances=1)
    seen = []
    counts = store(files_below([tmp_path]), dicom, seen.append)
    assert counts == Counts(stored=1, not_dicom=1, refused=Counter({"43264": 1}))
    assert seen[-1] == 3


def test_command_prints_one_line_of_json(dicom, tmp_path):
    write_ct_study(tmp_path, seed=4, instances=3)
    done = subprocess.run(
        [sys.executable, "-m", "dev", "load", str(tmp_path), "--dicom", dicom],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"stored": 3, "refused": {}, "not_dicom": 0, "already_there": 0}


def test_service_that_is_not_there_is_named(tmp_path):
    write_ct_study(tmp_path, instances=1)
    done = subprocess.run(
        [sys.executable, "-m", "dev", "load", str(tmp_path), "--dicom", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "load: http://127.0.0.1:1 does not answer: ConnectError"
