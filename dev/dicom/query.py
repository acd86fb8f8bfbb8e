"""A QIDO-RS query string to what it asks for (PS3.18 10.6; dicom-server: QueryParser.cs, QueryLimit.cs).

Anything unknown, doubled, empty or not usable at the level is 400. There are no wildcards and no lists of UIDs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_has_tag, tag_for_keyword

from dev.dicom import matching
from dev.dicom.call import LONG_MAX, Call, Refused
from dev.dicom.indexed import INSTANCE_TAGS, SERIES_TAGS, STUDY_TAGS
from dev.dicom.model import Attributes

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_PAGING = frozenset({"limit", "offset", "fuzzymatching", "includefield"})
_LEVELS = {"study": STUDY_TAGS, "series": SERIES_TAGS, "instance": INSTANCE_TAGS}
# the levels whose attributes filter, by the resource that is searched
FILTERS = {
    "studies": ("study",),
    "series": ("study", "series"),
    "instances": ("study", "series", "instance"),
    "study/series": ("series",),
    "study/instances": ("series", "instance"),
    "series/instances": ("instance",),
}


@dataclass(slots=True)
class Query:
    """Filters by level, attributes to add, and the page."""

    limit: int
    offset: int
    filters: dict[str, dict[str, Callable[[Attributes], bool]]]
    fields: set[str] = field(default_factory=set)
    everything: bool = False

    def passes(self, level: str, attributes: Attributes) -> bool:
        return all(test(attributes) for test in self.filters[level].values())


def parse(call: Call, resource: str) -> Query:
    """Read the query of a search; raises Refused."""
    query = Query(
        call.whole("limit", 100, 1, 200),
        call.whole("offset", 0, 0, LONG_MAX),
        {level: {} for level in _LEVELS},
    )
    fuzzy = call.flag("fuzzymatching", default=False)
    names: list[str] = []
    for name, value in call.request.query_params.multi_items():
        if name.lower() == "includefield":
            names += value.split(",")
        elif name.lower() not in _PAGING:
            _add_filter(query, resource, name, value.strip(), fuzzy=fuzzy)
    _add_fields(query, [name.strip() for name in names])
    return query


def _add_filter(query: Query, resource: str, name: str, value: str, *, fuzzy: bool) -> None:
    tag = tag_of(name)
    level = next((level for level in FILTERS[resource] if tag in _LEVELS[level]), None)
    if tag is None or level is None:
        raise Refused(400, f"Unsupported attribute '{name}' in the query.")
    if tag in query.filters[level]:
        raise Refused(400, f"The attribute '{name}' is in the query twice.")
    if not value:
        raise Refused(400, f"The attribute '{name}' has no value in the query.")
    try:
        query.filters[level][tag] = matching.test(tag, value, fuzzy=fuzzy)
    except ValueError:
        raise Refused(400, f"The value of the attribute '{name}' in the query is invalid.") from None


def _add_fields(query: Query, names: list[str]) -> None:
    query.everything = "all" in names
    if query.everything and len(names) > 1:
        raise Refused(400, "The include field 'all' cannot be combined with other fields.")
    for name in names if not query.everything else ():
        tag = tag_of(name)
        if tag is None:
            raise Refused(400, f"Unsupported include field '{name}'.")
        query.fields.add(tag)


def tag_of(name: str) -> str | None:
    """A keyword or eight hex digits as a known or private tag; None for anything else."""
    if _TAG.fullmatch(name):
        number = int(name, 16)
        private = (number >> 16) % 2 == 1
        return name.upper() if private or dictionary_has_tag(number) else None
    known = tag_for_keyword(name)
    return None if known is None else f"{known:08X}"
