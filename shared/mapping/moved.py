"""Pure: the addresses that the DICOM service has and had, and what FHIR holds under a former one.

A resource is read as if it had been written at the present address. It differs from what is stored then, so that the
next write brings it there; all that asks whose a resource is knows the present address only.
"""

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass

from shared.fhir.identifiers import EndpointByName, Resource, endpoint_by_name
from shared.fhir.ownership import Element, is_source, put, source_of
from shared.fhir.systems import CONNECTION_TYPE, DICOM_WADO_RS, SOURCE
from shared.mapping.endpoint import endpoint_name, printed_url
from shared.mapping.unlisted import put_count, unlisted_in


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one DICOM service, as .NET prints them. former: oldest first."""

    present: str
    former: tuple[str, ...] = ()

    @property
    def endpoint_identity(self) -> EndpointByName:
        """The Endpoint of this service, under each of its addresses."""
        former = tuple(map(endpoint_name, self.former))
        return endpoint_by_name(endpoint_name(self.present), CONNECTION_TYPE, DICOM_WADO_RS, former)

    def current(self, source: str) -> str:
        """The present address in the place of a former one, or of one that a server cut; others as they are."""
        service, mark, partition = source.partition("#")
        is_ours = any(is_source(service, one) for one in (self.present, *self.former))
        return self.present + mark + partition if is_ours else source

    def at_present(self, stored: Resource) -> Resource:
        """A stored resource with the present address wherever a former one names the source."""
        source = source_of(stored)
        now = self.current(source)
        result = {**stored, "meta": {**stored["meta"], "source": now}} if now != source else stored
        if not any(self.current(name) != name for element in _elements(stored) for name in _names(element)):
            return result
        result = deepcopy(result)
        for element in _elements(result):
            others = [row for row in element.get("extension", []) if row.get("url") != SOURCE]
            moved = {self._moved(row)["valueUri"]: self._moved(row) for row in _sources(element)}
            put(element, "extension", [*others, *moved.values()])
            for name, count in _unlisted(element).items():
                put_count(element, name, 0)
                put_count(element, self.current(name), count)
        return result

    def _moved(self, row: Element) -> Element:
        return {**row, "valueUri": self.current(row["valueUri"])}


def addresses_of(dicom_endpoint: str, former_endpoints: Collection[str] = ()) -> Addresses:
    """The addresses as they are written into FHIR."""
    return Addresses(printed_url(dicom_endpoint), tuple(dict.fromkeys(map(printed_url, former_endpoints))))


def with_present_endpoint(stored: Resource, former: Collection[str], present: str) -> Resource:
    """An ImagingStudy that refers to the `present` Endpoint in the place of `former` ones; each is a `Type/id`."""
    if not former:
        return stored
    result = deepcopy(stored)
    for element in (result, *result.get("series", [])):
        rows = element.get("endpoint", [])
        if any(row.get("reference") in former for row in rows):
            moved = [{**row, "reference": present} if row.get("reference") in former else row for row in rows]
            put(element, "endpoint", [row for place, row in enumerate(moved) if _is_first(moved, place, present)])
    return result


def _is_first(rows: list[Element], place: int, reference: str) -> bool:
    """Whether no row before this one has the reference, of which one is enough."""
    return rows[place].get("reference") != reference or all(row.get("reference") != reference for row in rows[:place])


def _sources(element: Element) -> list[Element]:
    return [row for row in element.get("extension", []) if row.get("url") == SOURCE and "valueUri" in row]


def _names(element: Element) -> list[str]:
    """The sources that an element names."""
    return [*(row["valueUri"] for row in _sources(element)), *_unlisted(element)]


def _unlisted(element: Element) -> dict[str, int]:
    """What a series does not list; nothing of an ImagingStudy, where the extension would be somebody else's."""
    return unlisted_in(element) if "uid" in element else {}


def _elements(study: Resource) -> list[Element]:
    """What can name sources: the ImagingStudy, its series and instances."""
    series = study.get("series", [])
    return [study, *series, *(instance for row in series for instance in row.get("instance", []))]
