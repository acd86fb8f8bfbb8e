"""What a takeover changes in FHIR, element by element: real files, written by DICOM Cast itself and then by the app.

`python -m bench.takeover` prints the table of docs/migrate.md and puts it there; tests/flow/test_takeover_page.py
compares it.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench import data
from bench.bed import Bed, has_dicom_cast, running_bed
from bench.page import replaced
from bench.report import as_markdown
from bench.report_in_hosts import Rows
from dev.dose_sample import dose_report
from dev.load import store
from dev.process import ROOT
from dev.samples import ct_study, pydicom_files

Resource = dict[str, Any]
Elements = dict[str, set[str]]
PAGE = ROOT / "docs" / "migrate.md"
NAME = "changes"
REPORTS = ROOT.parent / "shared" / "data" / "rdsr"
# DICOM Cast ends at these and never gets any further
ENDS_IT = ("CT-RDSR-GEPixelMed.dcm",)
SUMMARY = "73569-6"
# elements whose values say in which form something stands, and nothing of a person
SHOWN = ("system", "status", "started", "valueQuantity", "valueInteger", "code.text", "code.coding.display")
NOT_COMPARED = ("id", "resourceType", "lastUpdated", "versionId")


def files() -> list[Path]:
    """Those of pydicom, and vendors' dose reports where they are to be had."""
    return [*pydicom_files(), *(path for path in sorted(REPORTS.glob("*.dcm")) if path.name not in ENDS_IT)]


def resources(bed: Bed) -> tuple[list[Resource], list[Resource]]:
    """What is in FHIR after DICOM Cast wrote all of the files, and after the app has looked at all studies."""
    bed.empty()
    made_up = list(ct_study(seed=1, series=2, instances=4))
    data.put(bed, [*made_up, dose_report(made_up[0])])
    store(files(), bed.dicom)
    with bed.side("cast") as side:
        side.catch_up(bed)
    before = bed.resources()
    with bed.side("app") as side:
        side.catch_up(bed)
    return before, bed.resources()


def changes(before: Iterable[Resource], after: Iterable[Resource]) -> Rows:
    """Of the resources that are in both: each element that changed, in which way, and an example of it.

    The events of a dose report are replaced; those of a study are compared with those of the same study.
    """
    was, became = _elements(before), _elements(after)
    pairs = [(old, became[name]) for name, old in was.items() if name in became]
    known = [{path for pair in pairs for path in pair[side]} for side in (0, 1)]
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for old, new in pairs:
        for path in old.keys() | new.keys():
            values = old.get(path, set()), new.get(path, set())
            if values[0] == values[1]:
                continue
            kind = "changed" if all(values) else "removed" if values[0] else "added"
            where = path if kind == "changed" else _highest(path, known[kind == "removed"])
            shown = [_shown(path, each) if where == path else "" for each in values]
            found[where, kind].append("\n".join(shown))
    rows: Rows = [("element", "", "for example, before", "after")]
    for (path, kind), examples in sorted(found.items()):
        old_value, _, new_value = min(examples, key=lambda one: (len(one), one)).partition("\n")
        rows.append((f"`{path}`", kind, old_value, new_value))
    return rows


def _elements(resources: Iterable[Resource]) -> dict[str, Elements]:
    """By resource the values of each element; events of a study are taken together."""
    found: dict[str, Elements] = defaultdict(lambda: defaultdict(set))
    for one in resources:
        title, name = one["resourceType"], f"{one['resourceType']}/{one['id']}"
        if title == "Observation":
            title = "Observation (summary)" if _code(one) == SUMMARY else "Observation (event)"
        if title == "Observation (event)":
            name = f"events of {_study(one)}"
        for path, value in _leaves(one, title):
            found[name][path].add(value)
    return found


def _study(resource: Resource) -> str:
    """The study that an Observation's identifiers name; those of DICOM Cast's events name nothing else."""
    values = [str(one.get("value")) for one in resource["identifier"] if one.get("system") == "urn:dicom:uid"]
    return values[-1]


def _code(resource: Resource) -> str:
    codings = resource.get("code", {}).get("coding", [])
    return str(codings[0].get("code", "")) if codings else ""


def _highest(path: str, others: set[str]) -> str:
    """The highest element above this one, or itself, that the other side never has."""
    parts = path.split(".")
    for size in range(2, len(parts)):
        above = ".".join(parts[:size])
        if not any(other == above or other.startswith(f"{above}.") for other in others):
            return above
    return path


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Element paths without indices, components with their codes; references with the type that they name alone."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "extension":
                yield f"{path}.extension", " ".join(sorted(str(one.get("url")) for one in inner))
            elif name == "reference":
                yield f"{path}.reference", str(inner).partition("/")[0]
            elif name == "valueQuantity":
                yield f"{path}.{name}", f"{inner.get('value')} {inner.get('code', inner.get('unit', ''))}"
            elif name not in NOT_COMPARED and not name.startswith("_"):
                yield from _leaves(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, f"{path}[{_code(one)}]" if path.endswith(".component") else path)
    else:
        yield path, str(value)


def _shown(path: str, values: set[str]) -> str:
    """The values, where they are no person's; elsewhere nothing."""
    is_shown = any(path.endswith(f".{name}") for name in SHOWN)
    return ", ".join(f"`{value}`" for value in sorted(values)) if is_shown else ""


def table() -> str:
    """The table, as it stands in the page."""
    with running_bed() as bed:
        return as_markdown(changes(*resources(bed)))


def main() -> None:
    """Print the table and put it into the page."""
    if not has_dicom_cast() or not REPORTS.is_dir():
        sys.exit("takeover: DICOM Cast itself is needed, and ../shared/data")
    text = table()
    print(text)
    PAGE.write_text(replaced(PAGE.read_text(), NAME, text))


if __name__ == "__main__":
    main()
