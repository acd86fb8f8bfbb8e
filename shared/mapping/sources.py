"""Pure: which sources have each instance that an ImagingStudy lists. A source is one data partition of a DICOM service.

What is not marked belongs to the default partition of the service that `meta.source` names. Where that is not all,
extensions name the sources: of the study; of a series and of an instance only where they are others than those of
what contains it. So a study of one service without data partitions carries none.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

from shared.dicom.study import Provided, SeriesContent, StudyContent
from shared.fhir.identifiers import Resource
from shared.fhir.ownership import Element, put, source_of
from shared.fhir.systems import SOURCE
from shared.mapping.element_layer import is_ours
from shared.mapping.series_layer import MARK
from shared.mapping.unlisted import Listing, unlisted_in
from shared.model import DEFAULT_PARTITION, InstanceKey

Names = frozenset[str]
Holders = Mapping[InstanceKey, Names]
# in the place of the SOP Instance UID: a series that has no instance, and instances that a series does not list
OF_SERIES = ""
OF_UNLISTED = "*"


@dataclass(frozen=True, slots=True)
class Source:
    """A data partition of a DICOM service. service: its URL as it is in `meta.source`."""

    service: str
    partition: str = DEFAULT_PARTITION

    @property
    def name(self) -> str:
        """What stands for it in FHIR."""
        return self.service if self.partition == DEFAULT_PARTITION else f"{self.service}#{self.partition}"


@dataclass(frozen=True, slots=True)
class Shared:
    """A study whose sources have to be named, as `source` finds it.

    holders: the sources of each instance. before: the same as it was stored. others: further DICOM services that apps
    like this one write for.
    """

    source: Source
    holders: Holders
    before: Holders
    others: frozenset[str] = frozenset()

    @property
    def names(self) -> Names:
        """All sources that have something of the study."""
        return union(self.holders.values())

    @property
    def services(self) -> list[str]:
        """DICOM services that have something of the study, that of `source` first."""
        found = services(self.names) & {self.source.service, *self.others}
        return sorted(found, key=lambda service: (service != self.source.service, service))

    @property
    def yields(self) -> bool:
        """Whether another partition says what the study is, and whose."""
        return self.source.name in self.names and not self._is_first(self.names)

    @property
    def takes_over(self) -> bool:
        """Whether `source` says it from now on, and another partition of its service did."""
        before = union(self.before.values())
        return (
            self._is_first(self.names)
            and not self._is_first(before)
            and self.source.service in services(before - {self.source.name})
        )

    @property
    def without_source(self) -> "Shared":
        """The same without what `source` has, but for instances that no other source has: another app with tables of
        its own wrote them for the same source, and takes them out.
        """
        mine = {self.source.name}
        return replace(self, holders={key: names - mine or names for key, names in self.holders.items()})

    @property
    def gives_up(self) -> bool:
        """Whether `source` gives up an instance that it had."""
        mine = self.source.name
        return any(mine in names and mine not in self.holders.get(key, ()) for key, names in self.before.items())

    def listing(self, listing: Listing) -> "Shared":
        """The same where `source` lists its instances so."""
        mine = frozenset([self.source.name])
        holders = dict(self.holders)
        for key, names in self.holders.items():
            is_of_unlisted = key.sop_instance_uid == OF_UNLISTED
            if is_of_unlisted or key in listing.taken_out or (not listing.lists and key not in self.before):
                holders[key] = names - mine
        for uid in listing.counts:
            key = InstanceKey(uid, OF_UNLISTED)
            holders[key] = holders.get(key, frozenset()) | mine
        return replace(self, holders={key: names for key, names in holders.items() if names})

    def removed(self, gone: Collection[InstanceKey]) -> frozenset[InstanceKey]:
        """Those of the `gone` instances that no source has."""
        return frozenset(key for key in gone if not self.holders.get(key))

    def represented(self, content: StudyContent) -> StudyContent:
        """The part of `content` whose values `source` provides: of several partitions of its service that have an
        instance, a series or the study, the first by name does, in whatever order they are read. Of what other
        services have too nothing is taken away: what this one says nothing of, they may have said.
        """
        by_series: dict[str, set[Names]] = {}
        for key, names in self.holders.items():
            by_series.setdefault(key.series_instance_uid, set()).add(names)
        series = {
            uid: SeriesContent(
                self._said(one.elements, union(by_series.get(uid, ()))),
                {sop: row for sop, row in one.instances.items() if self.provides(InstanceKey(uid, sop))},
            )
            for uid, one in content.series.items()
        }
        if not self.is_first:
            return StudyContent(series=series)
        requests = None if self._is_elsewhere(self.names) else content.requests
        return replace(content, elements=self._said(content.elements, self.names), series=series, requests=requests)

    def _said(self, elements: Provided, names: Names) -> Provided:
        if not self._is_first(names):
            return {}
        if not self._is_elsewhere(names):
            return elements
        return {name: provider for name, provider in elements.items() if provider is not None}

    def _is_elsewhere(self, names: Names) -> bool:
        """Whether another service has it, too."""
        return not self.others.isdisjoint(services(names))

    @property
    def is_first(self) -> bool:
        """Whether `source` provides the values of the study."""
        return self._is_first(self.names)

    def provides(self, key: InstanceKey) -> bool:
        """Whether `source` provides the values of an instance."""
        return self._is_first(self.holders.get(key, frozenset()))

    def marked(self, study: Resource, endpoint: str, *, is_theirs: bool = False) -> Resource:
        """The ImagingStudy with its sources named; without the reference `endpoint` where its service has nothing.

        is_theirs: somebody else wrote the study, and perhaps such a reference: then only one with the mark goes.
        """
        result = deepcopy(study)
        everything = union(self.holders.get(key, frozenset()) for key in _keys(result))
        _name_sources(result, everything, frozenset([_default(result)]))
        for series in result.get("series", []):
            names = union(self.holders.get(key, frozenset()) for key in _keys_in(series))
            _name_sources(series, names, everything)
            of_others = is_theirs and not is_ours(series, MARK)
            self._without_endpoint(series, endpoint, names, is_theirs=of_others)
            for instance in series.get("instance", []):
                _name_sources(instance, self.holders.get(InstanceKey(series["uid"], instance["uid"]), names), names)
        self._without_endpoint(result, endpoint, everything, is_theirs=is_theirs)
        return result

    def _without_endpoint(self, element: Element, endpoint: str, names: Names, *, is_theirs: bool) -> None:
        if self.source.service not in services(names):
            rows = element.get("endpoint", [])
            kept = [row for row in rows if row.get("reference") != endpoint or (is_theirs and not is_ours(row, MARK))]
            put(element, "endpoint", kept)

    def _is_first(self, names: Names) -> bool:
        return min((name for name in names if service_of(name) == self.source.service), default="") == self.source.name


def service_of(name: str) -> str:
    """The DICOM service that a source is of."""
    return name.split("#", maxsplit=1)[0]


def services(names: Iterable[str]) -> set[str]:
    """The DICOM services of these sources."""
    return set(map(service_of, names))


def is_marked(stored: Resource | None) -> bool:
    """Whether an ImagingStudy names its sources."""
    return bool(stored and _named(stored))


def holders_of(stored: Resource) -> Holders:
    """The sources of each instance, as the ImagingStudy says; of a series that lists none, under an empty UID."""
    of_study = _named(stored) or frozenset([_default(stored)])
    found: dict[InstanceKey, Names] = {}
    for series in stored.get("series", []):
        of_series = _named(series) or of_study
        for instance in series.get("instance", []):
            found[InstanceKey(series["uid"], instance["uid"])] = _named(instance) or of_series
        if unlisted := unlisted_in(series):
            found[InstanceKey(series["uid"], OF_UNLISTED)] = frozenset(unlisted)
        elif not series.get("instance"):
            found[InstanceKey(series["uid"], OF_SERIES)] = of_series
    return found


def united(before: Holders, source: Source, there: Iterable[InstanceKey], gone: Collection[InstanceKey]) -> Holders:
    """The sources of each instance once `source` has those that are `there`, and not those that are `gone`."""
    mine = frozenset([source.name])
    after = dict(before)
    for key in there:
        after[key] = after.get(key, frozenset()) | mine
        after.pop(InstanceKey(key.series_instance_uid, OF_SERIES), None)
    for key in gone:
        after[key] = after.get(key, frozenset()) - mine
    return {key: names for key, names in after.items() if names}


def handed_over(resource: Resource, service: str) -> Resource:
    """A resource whose source no longer has it, as that of another service which has."""
    return {**resource, "meta": {**resource.get("meta", {}), "source": service}}


def union(found: Iterable[Names]) -> Names:
    """All names of these sets."""
    return frozenset(name for names in set(found) for name in names)


def _default(study: Resource) -> str:
    return source_of(study)


def _named(element: Element) -> Names:
    rows = element.get("extension", [])
    return frozenset(row["valueUri"] for row in rows if row.get("url") == SOURCE and "valueUri" in row)


def _name_sources(element: Element, names: Names, inherited: Names) -> None:
    others = [row for row in element.get("extension", []) if row.get("url") != SOURCE]
    said = sorted(names) if names != inherited else []
    put(element, "extension", [*others, *({"url": SOURCE, "valueUri": name} for name in said)])


def _keys(study: Resource) -> Iterator[InstanceKey]:
    for series in study.get("series", []):
        yield from _keys_in(series)


def _keys_in(series: Element) -> list[InstanceKey]:
    uids = [instance["uid"] for instance in series.get("instance", [])]
    uids += [OF_UNLISTED] if unlisted_in(series) else []
    return [InstanceKey(series["uid"], uid) for uid in uids or [OF_SERIES]]
