"""The tables of bench/in_hosts.py: the app in its host against DICOM Cast itself."""

from typing import Any

Rows = list[tuple[str, ...]]
Results = dict[str, Any]
REAL, RE_ENACTMENT = "DICOM Cast", "re-enactment"
# of time on Microsoft's FHIR server
LEAST = {"burst 100": 30, "burst 1,000": 300, "day of 60 studies": 30}
MOST_OF_ANSWERS = 2


def tables(results: Results) -> dict[str, Rows]:
    """Both, where the run compared them."""
    return {"in hosts": sides(results), "in hosts, ratios": ratios(results)} if _compared(results) else {}


def _compared(results: Results) -> list[Results]:
    return [one for one in results.values() if isinstance(one, dict) and "sides" in one]


def sides(results: Results) -> Rows:
    """What each side took as it runs in production, by FHIR server and load."""
    rows: Rows = [("FHIR server", "load", "side", "seconds", "CPU s", "peak MB", "FHIR requests", "DICOM requests")]
    for one in _compared(results):
        for side, name in (("app", f"app ({one['host']})"), ("cast", REAL)):
            found = one["sides"][side]
            used = (f"{found['seconds']:.2f}", f"{found['cpu_s']:.2f}", f"{found['peak_mb']:.0f}")
            asked = (f"{found['fhir_requests']:,}", f"{found['dicom_requests']:,}")
            rows.append((one["way"], one["load"], name, *used, *asked))
    return rows


def ratios(results: Results) -> Rows:
    """How many times as much DICOM Cast takes; what the app takes by itself, and how much of that it waits."""
    heads = ("time, ×", "CPU, ×", "FHIR requests, ×", "app without timer and queue, s", "its waits for answers, s")
    rows: Rows = [("FHIR server", "load", *heads)]
    for one in _compared(results):
        times = [f"{_ratio(one, name):,.1f}" for name in ("seconds", "cpu_s", "fhir_requests")]
        own = [f"{one[name]:.3f}" if name in one else "" for name in ("own_s", "answers_s")]
        rows.append((one["way"], one["load"], *times, *own))
    return rows


def _ratio(one: Results, figure: str) -> float:
    ours, theirs = (one["sides"][side][figure] for side in ("app", "cast"))
    return float(theirs / ours) if ours else float("inf")


def goals(results: Results) -> Rows:
    """What was aimed at, as far as the run has figures for it."""
    rows: Rows = []
    for one in _compared(results):
        least = LEAST.get(one["load"])
        if least and one["way"].startswith("Microsoft's"):
            ratio = _ratio(one, "seconds")
            goal = f"time against {REAL}, FHIR server {one['way']}, {one['load']}, ≥ {least} ×"
            rows.append((goal, f"{ratio:.1f} ×", "yes" if ratio >= least else "no"))
        if "own_s" in one:
            times = one["own_s"] / one["answers_s"]
            goal = f"own time of {one['load']}, FHIR server {one['way']}, ≤ {MOST_OF_ANSWERS} × its answers'"
            rows.append((goal, f"{times:.2f} ×", "yes" if times <= MOST_OF_ANSWERS else "no"))
    return rows
