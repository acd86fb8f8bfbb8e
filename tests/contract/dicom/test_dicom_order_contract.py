"""What a reader of the feed must expect: gaps, rows that appear late, refused pages, instances being stored."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.dicom.conftest import PARTS
from tests.contract.dicom.dicom_feed import (
    LATE_S,
    PLAIN_TEXT,
    WRITE,
    feed,
    fill,
    latest,
    outcome,
    sequences,
    states,
    troubled,
    until,
)
from tests.contract.dicom.dicom_files import store, uid

UNREADABLE = "The data store operation failed."
# the service needs a second or more for the metadata of such an instance, which it has then reserved but not stored
LARGE = WRITE.sequence(0x00081140, *(WRITE.element(0x00080104, "LO", f"meaning {n}") for n in range(20_000)))


@pytest.mark.parametrize("part", PARTS)
def test_gaps_in_the_sequence(part):
    with troubled(part, MEMSTORE_GAP_EVERY="3") as (dicom, ask):
        study, _, _ = fill(dicom, 2)
        ask("feed", skip=1)
        fill(dicom, 2, study)
        # a gap shortens the page of version 1, not that of version 2
        assert sequences(dicom) == [1, 2, 4, 5]
        assert sequences(dicom, limit=3) == [1, 2]
        assert sequences(dicom, offset=2, limit=1) == []
        assert sequences(dicom, 2, limit=3) == [1, 2, 4]
        assert sequences(dicom, 2, offset=2, limit=1) == [4]
        assert latest(dicom) == latest(dicom, 2) == 5


@pytest.mark.parametrize("part", PARTS)
def test_a_gap_that_is_longer_than_a_page(part):
    with troubled(part, MEMSTORE_GAP_EVERY="2", MEMSTORE_GAP_SIZE="150") as (dicom, ask):
        fill(dicom, 1)
        ask("feed", skip=150)
        fill(dicom, 1)
        assert sequences(dicom) == [1]
        # empty pages of version 1 do not say that the end is reached
        assert sequences(dicom, offset=1, limit=100) == []
        assert latest(dicom) == 152
        assert sequences(dicom, offset=101, limit=100) == [152]
        assert sequences(dicom, 2) == [1, 152]


@pytest.mark.parametrize("part", PARTS)
def test_a_row_appears_behind_rows_that_were_read(part):
    with troubled(part, MEMSTORE_LATE_EVERY="4", MEMSTORE_LATE_MS=str(LATE_S * 1000)) as (dicom, ask):
        study, _, _ = fill(dicom, 3)
        ask("feed", hold=1)
        _, late_series, (late,) = fill(dicom, 1, study)
        fill(dicom, 1, study)
        assert sequences(dicom) == sequences(dicom, 2) == [1, 2, 3, 5]
        assert latest(dicom) == latest(dicom, 2) == 5
        times = [row["timestamp"] for row in feed(dicom, 2)]
        # the instance is there before its row
        one = f"/v2/studies/{study}/series/{late_series}/instances/{late}/metadata"
        assert dicom.get(one).status_code == 200
        ask("feed", release=True)
        until(lambda: sequences(dicom) == [1, 2, 3, 4, 5])
        # its time, too, lies behind the end of what was read
        row = feed(dicom, offset=3, limit=1)[0]
        assert (row["sopInstanceUid"], row["state"]) == (late, "Current")
        assert times[2] <= row["timestamp"] <= times[3]
        assert sequences(dicom, 2) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("part", PARTS)
def test_a_state_changes_before_the_row_that_says_why(part):
    with troubled(part, MEMSTORE_LATE_EVERY="2", MEMSTORE_LATE_MS=str(LATE_S * 1000)) as (dicom, ask):
        study, _, _ = fill(dicom, 1)
        ask("feed", hold=1)
        dicom.delete(f"/v2/studies/{study}")
        assert states(dicom) == [("Create", "Deleted", None)]
        assert latest(dicom) == 1
        ask("feed", release=True)
        until(lambda: len(states(dicom)) == 2)
        assert states(dicom) == [("Create", "Deleted", None), ("Delete", "Deleted", None)]
        assert latest(dicom) == 2


@pytest.mark.parametrize("part", PARTS)
def test_a_refused_page_is_given_when_asked_again(part):
    refusals = {"kind": "status", "route": "changefeed", "status": 503, "body": UNREADABLE, "probability": 0.3}
    with troubled(part, MEMSTORE_503_EVERY="7") as (dicom, ask):
        until(lambda: store(dicom, WRITE.file()).status_code == 200)
        ask("faults", rules=[refusals], seed=1)
        pages = [dicom.get("/v1/changefeed?includeMetadata=false") for _ in range(30)]
        assert {page.status_code for page in pages} == {200, 503}
        refused = [page for page in pages if page.status_code == 503]
        assert {(page.text, page.headers["content-type"]) for page in refused} == {(UNREADABLE, PLAIN_TEXT)}
        assert not any("retry-after" in page.headers for page in refused)
        assert len({page.text for page in pages if page.status_code == 200}) == 1


@pytest.mark.parametrize("part", PARTS)
def test_an_instance_that_is_sent_twice_at_once(part):
    with troubled(part, MEMSTORE_LATENCY_MS="2000") as (dicom, ask):
        ask("faults", rules=[{"kind": "linger", "route": "stow", "seconds": 2}])
        data = WRITE.file()
        with ThreadPoolExecutor() as pool:
            first, second = pool.map(lambda _: outcome(store(dicom, data)), range(2))
        assert sorted([first, second]) == [(200, []), (409, [45071])]
        assert outcome(store(dicom, data)) == (409, [45070])
        assert len(feed(dicom)) == 1


@pytest.mark.parametrize("part", PARTS)
def test_an_instance_that_is_deleted_while_it_is_stored(part):
    with troubled(part) as (dicom, ask):
        ask("faults", rules=[{"kind": "linger", "route": "stow", "seconds": 2, "times": 1}])
        study, series, sop = uid(), uid(), uid()
        data = WRITE.file([LARGE], study=study, series=series, sop=sop)
        found = []
        storing = threading.Thread(target=lambda: found.append(outcome(store(dicom, data))))
        storing.start()
        # 404 until the instance is reserved
        until(lambda: dicom.delete(f"/v2/studies/{study}/series/{series}/instances/{sop}").status_code == 204)
        storing.join()
        assert found == [(409, [272])]
        assert feed(dicom) == []
        assert dicom.get(f"/v2/studies/{study}/metadata").status_code == 404
        assert store(dicom, data).status_code == 200
        assert [(row["action"], row["state"]) for row in feed(dicom)] == [("Create", "Current")]
