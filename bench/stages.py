"""Where the time of a burst goes: cProfile's own times, each function counted to a stage by the file it is in.

Functions of C count to the file that calls them. The profiler slows Python code more than C code: shares, not seconds.
"""

import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import data
from bench.bed import Bed, Figures
from bench.scenarios import WARM_UP
from dev.samples import ct_study

# first match decides
STAGES = (
    ("decode", ("/json/decoder.py", "/json/scanner.py", "/json/__init__.py")),
    ("encode", ("/json/encoder.py",)),
    ("validate", ("/shared/fhir/validation", "/fhir/resources/", "/fhir_core/", "/pydantic", "/typing_extensions.py")),
    ("map", ("/shared/mapping/", "/shared/dicom/", "/shared/fhir/", "/copy.py", "/re/", "/dataclasses.py")),
    ("reconcile", ("/shared/",)),
    ("HTTP", ("/httpx/", "/httpcore/", "/h11/", "/h2/", "/anyio/", "/gzip.py")),
    ("storage", ("/azure/", "/aiohttp/", "/msrest/", "/isodate/", "/xml/", "/yarl/", "/multidict/")),
    ("wait", ("/selectors.py",)),
    ("event loop", ("/asyncio/",)),
)
MOST_FUNCTIONS = 15
Function = tuple[str, int, str]


def stages(bed: Bed, fill: Callable[[Bed], object], file: Path) -> Figures:
    """Shares of the stages after DICOM was filled, and the functions with the largest shares."""
    bed.empty()
    data.put(bed, list(ct_study(seed=WARM_UP, series=1, instances=1)))
    with bed.side("app") as side:
        side.do(do="catch_up")
        fill(bed)
        side.do(do="profile", file=str(file))
    return shares(file)


def shares(file: Path) -> Figures:
    """Shares by stage, and of the functions with the largest."""
    found: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    stats: dict[Function, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    for function, (_, _, own, _, callers) in stats.items():
        functions[_name(function)] += own
        if function[0] != "~" and not function[0].startswith("<"):
            found[_stage(function[0], function[2])] += own
            continue
        # of a function of C: its own time, by caller
        for caller, (_, _, part, _) in callers.items():
            found[_stage(caller[0], function[2])] += part
    total = sum(found.values())
    return {
        "stages": {name: seconds / total for name, seconds in found.most_common()},
        "functions": {name: seconds / total for name, seconds in functions.most_common(MOST_FUNCTIONS)},
    }


def _stage(file: str, function: str) -> str:
    if "poll" in function and "epoll" in function:
        return "wait"
    if "scan_once" in function or "raw_decode" in function:
        return "decode"
    return next((stage for stage, marks in STAGES if any(mark in file for mark in marks)), "other")


def _name(function: Function) -> str:
    file, line, name = function
    path = Path(file)
    return name if file == "~" else f"{path.parent.name}/{path.name}:{line} {name}"
