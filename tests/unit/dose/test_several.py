"""Several reports of one study: cumulative, continued, corrected."""

import itertools

import pytest

from tests.unit.dose.reports import (
    ENHANCED_SR,
    ct_event,
    ct_report,
    dataset,
    dose_report,
    event_uid,
    events,
    mapped,
    nuclear_report,
    num,
    quantities,
    report_uid,
)


def _follows(*numbers):
    references = [dataset(ReferencedSOPInstanceUID=report_uid(number)) for number in numbers]
    series = dataset(ReferencedSOPSequence=references)
    return {"PredecessorDocumentsSequence": [dataset(ReferencedSeriesSequence=[series])]}


def _statuses(*reports):
    content = mapped(*reports)
    return {row.uid: row.elements["status"] for row in content.observations if row.kind == "summary"}


def _final(*reports):
    statuses = _statuses(*reports)
    assert len(statuses) == len(reports)
    assert set(statuses.values()) <= {"final", "preliminary"}
    return {number for number in range(1, 6) if statuses.get(report_uid(number)) == "final"}


CUMULATIVE = [ct_report([1], 7.46), ct_report([1, 2], 77.27, 2), ct_report([1, 2, 3], 236.09, 3)]


@pytest.mark.parametrize("reports", list(itertools.permutations(CUMULATIVE)))
def test_of_cumulative_reports_the_last_is_final(reports):
    assert _final(*reports) == {3}
    assert mapped(*reports) == mapped(*CUMULATIVE)


def test_totals_are_never_added_up():
    content = mapped(*CUMULATIVE)
    totals = [quantities(row)[0][2] for row in content.observations if row.kind == "summary"]
    assert totals == [7.46, 77.27, 236.09]


def test_members_are_the_events_of_the_report():
    members = {row.uid: row.members for row in mapped(*CUMULATIVE).observations if row.kind == "summary"}
    assert members == {
        report_uid(1): (event_uid(1),),
        report_uid(2): (event_uid(1), event_uid(2)),
        report_uid(3): (event_uid(1), event_uid(2), event_uid(3)),
    }
    assert all(row.members == () for row in mapped(*CUMULATIVE, with_events=False).observations)


@pytest.mark.parametrize(
    ("reports", "final"),
    [
        pytest.param([ct_report([1, 2]), ct_report([3], number=2)], {1, 2}, id="continued: disjoint"),
        pytest.param([ct_report([1, 2]), ct_report([2, 3], number=2)], {1, 2}, id="overlapping"),
        pytest.param([ct_report([1, 2]), ct_report([2], number=2)], {1}, id="the later one has fewer"),
        pytest.param([ct_report([1]), ct_report([1], number=2)], {2}, id="the same: the later"),
        pytest.param([ct_report([1], number=2), ct_report([1])], {2}, id="the same, other order"),
        pytest.param([ct_report([1], ContentDate="20210302"), ct_report([1], number=2)], {1}, id="by content date"),
        pytest.param(
            [ct_report([1], ContentDate=None), ct_report([1], number=2, ContentDate=None, ContentTime=None)],
            {1},
            id="by content time",
        ),
        pytest.param([ct_report([]), ct_report([1], number=2)], {1, 2}, id="no events: nothing is known"),
        pytest.param([ct_report([]), ct_report([], number=2)], {1, 2}, id="no events in either"),
        pytest.param([ct_report([1]), ct_report([2], number=2, **_follows(1))], {2}, id="names it as predecessor"),
        pytest.param([ct_report([1], **_follows(2)), ct_report([2], number=2, **_follows(1))], {2}, id="cycle"),
        pytest.param([ct_report([1], **_follows(1))], {1}, id="names itself"),
        pytest.param([ct_report([1], **_follows(4))], {1}, id="predecessor unknown"),
        pytest.param([ct_report([1], **_follows(2)), ct_report([1], number=2)], {2}, id="cycle of both rules"),
        pytest.param(
            [ct_report([1], **_follows(2)), ct_report([2], 1, 2, **_follows(3)), ct_report([3], 1, 3, **_follows(1))],
            {3},
            id="cycle of three",
        ),
        pytest.param(
            [ct_report([1], **_follows(2)), ct_report([2], 1, 2, **_follows(1)), ct_report([3], 1, 3, **_follows(1))],
            {3},
            id="cycle that another includes",
        ),
        pytest.param([ct_report([1, 2]), nuclear_report(event=9, number=2)], {1, 2}, id="CT and injection"),
        pytest.param([nuclear_report(event=8), nuclear_report(event=9, number=2)], {1, 2}, id="two injections"),
        pytest.param([nuclear_report(event=9), nuclear_report(event=9, number=2)], {2}, id="corrected injection"),
        pytest.param([ct_report([1, 1]), ct_report([1, 2], number=2)], {2}, id="an event twice"),
        pytest.param([ct_report([1], SOPClassUID=ENHANCED_SR), ct_report([1, 2], number=2)], {2}, id="other class"),
    ],
)
def test_final_reports(reports, final):
    assert _final(*reports) == final


@pytest.mark.parametrize(
    ("flag", "status", "found"),
    [
        ("COMPLETE", "final", []),
        ("PARTIAL", "preliminary", []),
        (None, "final", []),
        ("DONE", "preliminary", [("CompletionFlag", "unknown-code")]),
    ],
)
def test_completion(flag, status, found):
    content = mapped(dose_report(CompletionFlag=flag))
    assert _statuses(dose_report(CompletionFlag=flag)) == {report_uid(): status}
    assert [(finding.keyword, finding.code) for finding in content.findings[report_uid()]] == found


def test_a_partial_report_includes_others_too():
    assert _statuses(ct_report([1]), ct_report([1, 2], number=2, CompletionFlag="PARTIAL")) == {
        report_uid(1): "preliminary",
        report_uid(2): "preliminary",
    }


def _dlp(observation):
    return {number: value for number, _, value, _ in quantities(observation)}["113838"]


def _of(number, *found, **attributes):
    return dose_report(*found, number=number, **attributes)


@pytest.mark.parametrize(
    ("reports", "dlp", "status"),
    [
        pytest.param([_of(1, ct_event(1, dlp=5)), _of(2, ct_event(1, dlp=6))], 6, "final", id="the later of the same"),
        pytest.param([_of(1, ct_event(1, dlp=5), ct_event(2)), _of(2, ct_event(1, dlp=6))], 5, "final", id="the wider"),
        pytest.param(
            [_of(1, ct_event(1, dlp=5)), _of(2, ct_event(1, dlp=None))], 5, "preliminary", id="who has values"
        ),
        pytest.param([_of(1, ct_event(1, dlp=5)), _of(2, **_follows(1))], 5, "preliminary", id="taken out since"),
        pytest.param([_of(1, ct_event(1), CompletionFlag="PARTIAL")], 10, "preliminary", id="of a partial report"),
    ],
)
def test_an_event_of_several_reports(reports, dlp, status):
    for order in itertools.permutations(reports):
        found = events(*order)[event_uid(1)]
        assert (_dlp(found), found.elements["status"]) == (dlp, status)


def test_an_event_is_one_observation_however_many_report_it():
    content = mapped(*CUMULATIVE)
    assert [(row.kind, row.uid) for row in content.observations] == [
        *(("event", event_uid(number)) for number in (1, 2, 3)),
        *(("summary", report_uid(number)) for number in (1, 2, 3)),
    ]


def test_overlapping_reports_have_each_event_once():
    content = mapped(ct_report([1, 2]), ct_report([2, 3], number=2))
    found = [(row.kind, row.uid, row.elements["status"]) for row in content.observations]
    assert found == [
        *(("event", event_uid(number), "final") for number in (1, 2, 3)),
        *(("summary", report_uid(number), "final") for number in (1, 2)),
    ]


def test_a_report_that_replaces_one_of_another_study_is_final_and_so_is_that_one():
    assert _statuses(ct_report([1])) == {report_uid(1): "final"}
    assert _statuses(ct_report([2], number=2, **_follows(1))) == {report_uid(2): "final"}


def test_the_same_report_twice():
    assert mapped(CUMULATIVE[0], CUMULATIVE[0]) == mapped(CUMULATIVE[0])


def test_findings_are_those_of_their_report():
    bad = dose_report(nuclear_report(), ct_event(1, num("113830", "x")), number=2)
    content = mapped(CUMULATIVE[2], bad)
    assert set(content.findings) == {report_uid(2), report_uid(3)}
    assert content.findings[report_uid(3)] == []
