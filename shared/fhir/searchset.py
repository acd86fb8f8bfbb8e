"""Pure: the hits of a search (R4, http.html#search), and the link to its next page."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from shared.errors import Misconfigured, Unavailable
from shared.fhir.capabilities import mappings
from shared.fhir.identifiers import Resource
from shared.fhir.shapes import odd_element

SERVICE = "the FHIR server"
UNREADABLE_RESOURCE = "unreadable-resource"
MOST_PAGES = 1000  # of one search
DOT_SEGMENT = re.compile(r"(^|[/\\])\.\.?($|[/\\;])")


def next_page(base_url: str, found: Resource, resource_type: str) -> str | None:
    """The next link, below the configured base: behind a gateway, servers give links that lead past it, and what is
    sent with a request is for nothing else that answers there.
    """
    links = [str(link.get("url")) for link in mappings(found, "link") if link.get("relation") == "next"]
    if not links:
        return None
    base = urlsplit(base_url).path.rstrip("/")
    try:
        link = urlsplit(links[0])
    except ValueError:
        raise not_followed() from None
    is_below = f"{link.path}/".startswith(f"{base}/")
    path = link.path.removeprefix(base).lstrip("/") if is_below else resource_type
    if DOT_SEGMENT.search(unquote(unquote(path))):
        raise not_followed()
    return f"{base_url}{path}?{link.query}"


def not_followed() -> Unavailable:
    """The error of a link that leads nowhere."""
    return Unavailable(f"{SERVICE} answered a link to a next page that cannot be followed")


def usable(hits: Iterable[Resource]) -> list[Resource]:
    """Each resource once, since pages shift while others write. Raises where one of them is not one of R4."""
    found = {hit["id"]: hit for hit in hits}
    for hit in found.values():
        if not isinstance(hit.get("meta"), Mapping) or not hit["meta"].get("versionId"):
            text = f"{SERVICE} answers a {hit['resourceType']} without meta.versionId: writes cannot be guarded"
            raise Misconfigured(text, code="no-versions")
        if (wrong := odd_element(hit)) is not None:
            raise Unavailable(
                f"{SERVICE} answered a {hit['resourceType']} whose {wrong} is not valid R4", code=UNREADABLE_RESOURCE
            )
    return list(found.values())


def hits_of(found: Resource, resource_type: str) -> list[Resource]:
    """The resources of one type that a search answered."""
    if found.get("resourceType") != "Bundle":
        raise Unavailable(f"{SERVICE} answered a search with something that is not a Bundle")
    resources = [entry.get("resource") for entry in mappings(found, "entry")]
    return [
        hit
        for hit in resources
        if isinstance(hit, dict) and hit.get("resourceType") == resource_type and isinstance(hit.get("id"), str)
    ]
