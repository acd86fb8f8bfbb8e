"""The tables of a run, as rows of text: for the console and for the page."""

from collections.abc import Iterable

from rich.table import Table

from bench import report_in_hosts
from bench.checks import MOST_REQUESTS, bursts, growth
from bench.report_in_hosts import RE_ENACTMENT, Results, Rows
from bench.workers import PLACES

LEAST_RATIO = {100: 20, 1_000: 100}  # of time, by instances of a burst
MAPPING_STEPS = ("map_s", "check_s", "encode_s")
GROWING = ("fhir_requests", "fhir_sent", "dicom_requests", "seconds", "cpu_s")


def as_rich(rows: Rows) -> Table:
    """For the console."""
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*row)
    return table


def as_markdown(rows: Rows) -> str:
    """For the page."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def tables(results: Results) -> dict[str, Rows]:
    """Every table that the run has figures for."""
    found = {**report_in_hosts.tables(results)}
    found |= {"scenarios": scenarios(results), "ratios": ratios(results), "growth": growth_table(results)}
    found["storage"] = storage(results)
    found |= {name: table(results) for name, (needed, table) in OF_FULL_RUNS.items() if needed in results}
    return found | {"goals": goals(results)}


def scaled(one: Results, side: str, figure: str) -> float:
    """A figure of a scenario; where a side stopped early, what it had come to in the same way for all."""
    found = one[side]
    share = one["instances"] / found["entries"] if found["entries"] else 1
    return float(found[figure] * share)


def is_whole(one: Results, side: str) -> bool:
    """Whether a side worked all of a scenario."""
    return one[side]["entries"] in (0, one["instances"])


def is_burst(one: Results) -> bool:
    """Whether a scenario is one study at once, wherever the FHIR server is."""
    return "burst " in one["name"]


def all_scenarios(results: Results) -> list[Results]:
    """In the order in which they were measured."""
    return [one for one in results.values() if isinstance(one, dict) and "app" in one]


def label(results: Results) -> str:
    """Whose figures stand beside the app's: DICOM Cast's, or those of its re-enactment."""
    return str(results.get("machine", {}).get("cast", RE_ENACTMENT))


def scenarios(results: Results) -> Rows:
    """Counts and sizes of each side."""
    traffic = ("FHIR requests", "sent, kB", "received, kB", "DICOM requests", "received, kB ")
    rows: Rows = [("scenario", "side", *traffic, "storage calls", "seconds", "CPU s", "peak MB")]
    for one in all_scenarios(results):
        for side, name in (("app", "app"), ("cast", label(results))):
            if side not in one:
                continue
            mark = "" if is_whole(one, side) else f" (first {one[side]['entries']:,})"
            found = one[side]
            kilobytes = (found[name] / 1000 for name in ("fhir_sent", "fhir_received", "dicom_received"))
            sent, received, of_dicom = (f"{size:,.0f}" for size in kilobytes)
            calls = f"{found['storage_calls']:,}" if side == "app" else "not kept"
            asked, read = (f"{found[name]:,}" for name in ("fhir_requests", "dicom_requests"))
            used = (f"{found['seconds']:.2f}", f"{found['cpu_s']:.2f}", f"{found['peak_mb']:.0f}")
            rows.append((one["name"], name + mark, asked, sent, received, read, of_dicom, calls, *used))
    return rows


def ratios(results: Results) -> Rows:
    """Per instance, and how many times as much DICOM Cast takes, or its re-enactment."""
    each = ("FHIR requests per instance", "CPU ms per instance", "ms per instance")
    rows: Rows = [("scenario", *each, "FHIR requests, ×", "bytes, ×", "CPU, ×", "time, ×")]
    for one in all_scenarios(results):
        if one["name"].startswith("idle") or "cast" not in one:
            continue
        app = {name: scaled(one, "app", name) for name in ("fhir_requests", "cpu_s", "seconds")}
        times = [
            _times(one, ("fhir_requests",)),
            _times(one, ("fhir_sent", "fhir_received", "dicom_received")),
            _times(one, ("cpu_s",)),
            _times(one, ("seconds",)),
        ]
        mark = "" if is_whole(one, "cast") else " *"
        asked = f"{app['fhir_requests'] / one['instances']:.4f}"
        took = [f"{app[name] * 1000 / one['instances']:.2f}" for name in ("cpu_s", "seconds")]
        rows.append((one["name"] + mark, asked, *took, *(f"{ratio:,.1f}" for ratio in times)))
    return rows


def _times(one: Results, figures: Iterable[str]) -> float:
    ours, theirs = (sum(scaled(one, side, figure) for figure in figures) for side in ("app", "cast"))
    return theirs / ours if ours else float("inf")


def growth_table(results: Results) -> Rows:
    """Exponents over the bursts: 0 is constant, 1 linear, 2 quadratic."""
    sides = (("app", "app"), ("cast", label(results)))
    rows = [(name, *(f"{growth(results, side, figure):.2f}" for figure in GROWING)) for side, name in sides]
    return [("side", "FHIR requests", "bytes sent to FHIR", "DICOM requests", "seconds", "CPU s"), *rows]


def storage(results: Results) -> Rows:
    """Calls to queues and tables by kind."""
    found = [one for one in all_scenarios(results) if one["app"]["storage"]]
    kinds = sorted({kind for one in found for kind in one["app"]["storage"]})
    rows: Rows = [("scenario", "messages", *kinds)]
    for one in found:
        counts = [str(one["app"]["storage"].get(kind, 0)) for kind in kinds]
        rows.append((one["name"], str(one["app"].get("messages", 0)), *counts))
    return rows


def workers(results: Results) -> Rows:
    """Throughput, and processors that each service used on average; of the FHIR server away, places of its few."""
    heads = ("FHIR server", "workers", "studies a second", "× one", "places used")
    rows: Rows = [(*heads, "app", "FHIR", "DICOM", "storage")]
    for one in results["workers"]:
        first = next(row for row in results["workers"] if row["away_s"] == one["away_s"])
        where = f"{one['away_s'] * 1000:.0f} ms away" if one["away_s"] else "beside it"
        busy = [f"{one['busy'][name]:.2f}" for name in ("app", "fhir", "dicom", "storage")]
        speed = one["studies_per_s"]
        places = f"{one['places_used']:.1f} of {PLACES}" if one["away_s"] else ""
        rows.append(
            (where, str(one["workers"]), f"{speed:.1f}", f"{speed / first['studies_per_s']:.2f}", places, *busy)
        )
    return rows


def stages(results: Results) -> Rows:
    """Shares of a burst of 1,000, and of a day's mix."""
    burst, day = results["stages"]["stages"], results["stages of a day"]["stages"]
    rows: Rows = [("stage", "burst of 1,000", "a day's mix")]
    return rows + [(name, f"{burst[name]:.1%}", f"{day.get(name, 0):.1%}") for name in burst]


def functions(results: Results) -> Rows:
    """Where the largest shares of the two are."""
    rows: Rows = [("of", "function", "share")]
    for name, of in (("stages", "burst"), ("stages of a day", "day")):
        found = results[name]["functions"].items()
        rows += [(of, f"`{function}`", f"{share:.1%}") for function, share in found]
    return rows


def floor(results: Results) -> Rows:
    """A study of 1,000 instances, against what nobody can avoid."""
    found = results["floor"]
    rows: Rows = [("part", "seconds", "app takes")]
    rows.append(("fetch, decode, post", f"{found['seconds']:.3f}", f"{found['app_s'] / found['seconds']:.1f} × (time)"))
    rows.append(("decode, json", f"{found['decode_s']:.3f}", f"{found['app_cpu_s'] / found['decode_s']:.1f} × (CPU)"))
    if "burst 1,000" in results:
        cast_s = results["burst 1,000"]["cast"]["seconds"]
        rows.append(
            (f"all of it by {label(results)}", f"{cast_s:.3f}", f"{cast_s / found['seconds']:.0f} × (the first line)")
        )
    if "decode_orjson_s" in found:
        faster = found["decode_orjson_s"]
        rows.append(("decode, orjson", f"{faster:.3f}", f"{found['app_cpu_s'] / faster:.1f} × (CPU)"))
    return rows


def mapping(results: Results) -> Rows:
    """Of each kind of object, what mapping takes against decoding the JSON that it comes in."""
    rows: Rows = [("object", "bytes", "decode, µs", "map", "check R4", "encode", "all three")]
    for one in results["mapping"]:
        ratios = [one[name] / one["decode_s"] for name in MAPPING_STEPS]
        times = (f"{ratio:.2f} ×" for ratio in (*ratios, sum(ratios)))
        rows.append((one["kind"], str(one["bytes"]), f"{one['decode_s'] * 1e6:.0f}", *times))
    return rows


def feed(results: Results) -> Rows:
    """One poller that reads the feed and fills the queue."""
    found = results["feed"]
    heads = ("entries", "messages", "entries a second", "peak MB")
    rate = f"{found['entries_per_s']:,.0f}"
    return [heads, (f"{found['entries']:,}", f"{found['messages']:,}", rate, f"{found['peak_mb']:.0f}")]


def goals(results: Results) -> Rows:
    """What was aimed at, and what was measured, as far as the run has figures for it."""
    rows = [
        *report_in_hosts.goals(results),
        *_of_bursts(results),
        *_of_memory(results),
        *_of_workers(results),
        *_of_process(results),
    ]
    if "latency" in results:
        took = results["latency"]
        text = f"median {took['median_s']:.1f} s, p99 {took['p99_s']:.1f} s"
        rows.append(("upload to visible ≤ one poll (2 s) + 2 s", text, _met(took["p99_s"] <= 4)))
    return [("goal", "measured", "met"), *rows]


def _of_bursts(results: Results) -> Rows:
    found = {one["instances"]: one for one in bursts(results)}
    most = max(one["app"]["fhir_requests"] for one in found.values())
    rows: Rows = [(f"FHIR requests of a burst ≤ {MOST_REQUESTS}", f"{most}", _met(most <= MOST_REQUESTS))]
    for one in all_scenarios(results):
        least = LEAST_RATIO.get(one["instances"])
        if least and is_burst(one) and is_whole(one, "app"):
            ratio = _times(one, ("seconds",))
            goal = f"time against {label(results)}, {one['name']}, ≥ {least} ×"
            is_known = ratio >= least or is_whole(one, "cast")  # what is extrapolated is a lower bound
            rows.append((goal, f"{ratio:.1f} ×", _met(ratio >= least) if is_known else "not shown"))
    for small, large in ((100, 1_000), (1_000, 10_000)):
        if {small, large} <= found.keys():
            ratio = found[large]["app"]["seconds"] / found[small]["app"]["seconds"]
            rows.append((f"time from {small:,} to {large:,} ≤ 11 ×", f"{ratio:.1f} ×", _met(ratio <= 11)))
    return rows


def _of_memory(results: Results) -> Rows:
    backlogs = [one for one in all_scenarios(results) if one["name"].startswith("backfill")]
    peaks = [(one["name"], one["app"]["peak_mb"]) for one in backlogs]
    return [(f"peak memory, {name}, < 200 MB", f"{peak:.0f} MB", _met(peak < 200)) for name, peak in peaks]


def _of_workers(results: Results) -> Rows:
    rows: Rows = []
    for is_away, where in ((False, "beside it"), (True, "away")):
        speeds = {
            one["workers"]: one["studies_per_s"] for one in results.get("workers", []) if (one["away_s"] > 0) == is_away
        }
        if speeds:
            ratio = speeds[4] / speeds[1]
            rows.append((f"4 workers, FHIR server {where}, ≥ 3 × one", f"{ratio:.2f} ×", _met(ratio >= 3)))
    return rows


def _of_process(results: Results) -> Rows:
    rows: Rows = []
    if "mapping" in results:
        most = max(sum(one[name] for name in MAPPING_STEPS) / one["decode_s"] for one in results["mapping"])
        rows.append(("mapping, R4 check and encoding ≤ 2 × decoding", f"{most:.2f} ×", _met(most <= 2)))
    if "start" in results:
        rows.append(("import of the app < 0.6 s", f"{results['start']:.2f} s", _met(results["start"] < 0.6)))
    return rows


def _met(is_met: bool) -> str:  # noqa: FBT001 - reads as what it is
    return "yes" if is_met else "no"


# table -> the part of a run that it is about
OF_FULL_RUNS = {
    "workers": ("workers", workers),
    "stages": ("stages of a day", stages),
    "hot spots": ("stages of a day", functions),
    "floor": ("floor", floor),
    "feed": ("feed", feed),
    "mapping": ("mapping", mapping),
}
