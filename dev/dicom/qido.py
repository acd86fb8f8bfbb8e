"""Search at three levels: which studies, series or instances match, and what is answered of each.

Newest first; the order inside a page is open while only searchable attributes are asked for, so it is shuffled then
(dicom-server: QueryResponseBuilder.cs).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.responses import Response

from dev.dicom.call import Answer, Call, dicom_json, encode
from dev.dicom.indexed import INDEXED, SERIES_TAGS, STUDY_TAGS
from dev.dicom.metadata import content_of
from dev.dicom.model import Attributes, Instance, Series, Study
from dev.dicom.query import Query, parse

MODALITIES, STUDY_COUNT, SERIES_COUNT = "00080061", "00201208", "00201209"
_V1 = {
    "study": "00080005 00080020 00080030 00080050 00080056 00080090 00080201 00100010 00100020 00100030 00100040 "
    "0020000D 00200010",
    "series": "00080005 00080060 00080201 0008103E 0020000E 00400244 00400245 00400275",
    "instance": "00080005 00080016 00080018 00080056 00080201 00200013 00280008 00280010 00280011 00280100",
}
_V2 = {
    "study": "0020000D 00080020 00081030 00080050 00080090 00100010 00100020 00100030",
    "series": "0020000E 00080060 00400244 00081090",
    "instance": "00080018",
}
_ALL = {
    "study": "00081030 00080063 00081032 00081060 00081080 00081110 00101010 00101020 00101030 00102180 001021B0",
    "series": "00200011 00200060 00080021 00080031",
    "instance": "",
}
# what the index of the service holds (StudyResult.cs, SeriesResult.cs)
_AVAILABLE = INDEXED | {MODALITIES, STUDY_COUNT, SERIES_COUNT}
# the levels whose default attributes are answered, by the resource that is searched
_ANSWERED = {
    "studies": ("study",),
    "series": ("study", "series"),
    "instances": ("study", "series", "instance"),
    "study/series": ("series",),
    "study/instances": ("series", "instance"),
    "series/instances": ("instance",),
}


@dataclass(frozen=True, slots=True)
class Match:
    """One result: a study, one of its series, one instance of that."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None


def search(resource: str) -> Answer:
    """The endpoint of one searchable resource."""

    async def answer(call: Call) -> Response:
        call.require_json()
        call.uids()
        query = parse(call, resource)
        page = list(islice(_matches(call, resource, query), query.offset, query.offset + query.limit))
        if not page:
            return Response(status_code=204)
        tags = _tags(call, resource, query)
        if tags <= _AVAILABLE:
            call.service.rng.shuffle(page)
        return dicom_json(encode([_row(call, match, tags) for match in page]))

    return answer


def _tags(call: Call, resource: str, query: Query) -> set[str]:
    tables = (_V1, _ALL) if query.everything else ((_V1,) if call.version == 1 else (_V2,))
    tags = {tag for level in _ANSWERED[resource] for table in tables for tag in table[level].split()}
    path = call.request.path_params
    named = {"0020000D": "study", "0020000E": "series"}
    tags |= {tag for tag, name in named.items() if name in path}
    return tags | query.fields | {tag for filters in query.filters.values() for tag in filters}


def _matches(call: Call, resource: str, query: Query) -> Iterator[Match]:
    """Results, newest first."""
    target = resource.rsplit("/", maxsplit=1)[-1]
    studies = (study for study in _studies(call) if _study_passes(query, study))
    if target == "studies":
        yield from map(Match, studies)
        return
    series = [Match(study, one) for study in studies for one in reversed(study.series.values())]
    only = call.request.path_params.get("series")
    series = [match for match in series if match.series and _series_passes(query, match.series, only)]
    if target == "series":
        yield from series
        return
    found = [Match(m.study, m.series, one) for m in series if m.series for one in m.series.instances.values()]
    found.sort(key=lambda match: -match.instance.current.watermark if match.instance else 0)
    for match in found:
        if match.instance and query.passes("instance", _identity(match.instance)):
            yield match


def _studies(call: Call) -> Iterator[Study]:
    studies = call.service.archive.studies
    if (uid := call.request.path_params.get("study")) is not None:
        study = studies.get((call.partition, uid))
        yield from () if study is None else (study,)
        return
    yield from (study for study in reversed(studies.values()) if study.partition == call.partition)


def _study_passes(query: Query, study: Study) -> bool:
    filters = query.filters["study"]
    attributes = {**study.index, MODALITIES: _modalities(study)} if MODALITIES in filters else study.index
    return query.passes("study", attributes)


def _series_passes(query: Query, series: Series, only: str | None) -> bool:
    return only in (None, series.uid) and query.passes("series", series.index)


def _identity(instance: Instance) -> Attributes:
    return {"00080018": {"vr": "UI", "Value": [instance.key.sop]}}


def _row(call: Call, match: Match, tags: set[str]) -> Attributes:
    """The attributes of one result: from the index where that has all of them, else from the newest metadata."""
    if tags <= _AVAILABLE:
        found = _known(call, match)
    else:
        computed = {SERIES_COUNT} if match.series else {MODALITIES, STUDY_COUNT}
        found = _newest_metadata(call, match) | (_known(call, match) if tags & computed else {})
    return {tag: found[tag] for tag in sorted(found.keys() & tags) if "Value" in found[tag]}


def _known(call: Call, match: Match) -> Attributes:
    """What is known without reading metadata: the index and the counts."""
    study, series = match.study, match.series
    known = {tag: element for tag, element in study.index.items() if tag in STUDY_TAGS}
    if series is None:
        count = sum(len(one.instances) for one in study.series.values())
        return known | {MODALITIES: _modalities(study), STUDY_COUNT: _count(count, call, (study.uid,))}
    known |= {tag: element for tag, element in series.index.items() if tag in SERIES_TAGS}
    return known | {SERIES_COUNT: _count(len(series.instances), call, (study.uid, series.uid))}


def _count(number: int, call: Call, uids: tuple[str, ...]) -> dict[str, object]:
    """A number that includes the instances still being created, as the views of the service do."""
    pending = sum(
        (key.partition, *key[1 : len(uids) + 1]) == (call.partition, *uids) for key in call.service.archive.creating
    )
    return {"vr": "IS", "Value": [number + pending]}


def _modalities(study: Study) -> dict[str, object]:
    found = (value for series in study.series.values() for value in series.index.get("00080060", {}).get("Value", ()))
    return {"vr": "CS", "Value": sorted(set(found))}


def _newest_metadata(call: Call, match: Match) -> Attributes:
    if match.instance:
        newest = match.instance
    else:
        instances = match.series.instances.values() if match.series else match.study.instances()
        newest = max(instances, key=lambda instance: instance.current.watermark)
    attributes: Attributes = json.loads(content_of(call.service, newest.key, newest.current))
    return attributes
