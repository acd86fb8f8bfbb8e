"""Pure: what several dose reports of one study say together.

Modalities send cumulative reports: each has the events of the ones before, and its totals include theirs. Totals are
never added up; a report that another includes is marked so that nobody counts it twice.
"""

from collections.abc import Collection, Iterable, Mapping

from shared.mapping.dose.report import DoseReport


def superseded(reports: Collection[DoseReport]) -> frozenset[str]:
    """UIDs of the reports that a later one includes.

    Reports that name each other as predecessors do not vanish all: the last of them stays.
    """
    orders = {report.uid: report.order for report in reports}
    having = _having(reports)
    direct = {
        report.uid: {other.uid for other in _candidates(having, report) if _includes(other, report)}
        for report in reports
    }
    including = {uid: _closure(direct, uid) for uid in direct}
    return frozenset(
        uid
        for uid, others in including.items()
        if any(uid not in including[other] or orders[other] > orders[uid] for other in others)
    )


def latest_first(reports: Iterable[DoseReport], included: Collection[str]) -> list[DoseReport]:
    """The reports in the order in which they are believed about an event that several have."""
    return sorted(reports, key=lambda report: (report.uid not in included, report.order), reverse=True)


def _having(reports: Collection[DoseReport]) -> dict[str, list[DoseReport]]:
    """The reports by each event that they have and each document that they name as a predecessor."""
    having: dict[str, list[DoseReport]] = {}
    for report in reports:
        for uid in {*report.events, *report.predecessors}:
            having.setdefault(uid, []).append(report)
    return having


def _candidates(having: Mapping[str, list[DoseReport]], report: DoseReport) -> list[DoseReport]:
    """Those that can include a report: they name it, or have that of its events that the fewest have."""
    sharing = min((having[uid] for uid in report.events), key=len, default=[])
    return [*having.get(report.uid, ()), *sharing]


def _includes(other: DoseReport, report: DoseReport) -> bool:
    if other.uid == report.uid:
        return False
    if report.uid in other.predecessors:
        return True
    mine, theirs = report.events.keys(), other.events.keys()
    return bool(mine) and (mine < theirs or (mine == theirs and other.order > report.order))


def _closure(direct: dict[str, set[str]], uid: str) -> set[str]:
    """Everything that includes it, at first or at second hand."""
    found: set[str] = set()
    waiting = [uid]
    while waiting:
        new = direct[waiting.pop()] - found
        found |= new
        waiting.extend(new)
    return found
