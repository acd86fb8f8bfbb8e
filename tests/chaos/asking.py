"""Requests that this test itself makes of servers that fail on purpose: repeated, where a repetition does no harm."""

import asyncio

import httpx

TRIES = 40
WAIT_S = 0.25
REPEATED = {429, 500, 502, 503, 504}
JSON = {"Accept": "application/dicom+json"}
PAGE = 200
RESOURCE_TYPES = ("Patient", "ImagingStudy", "Endpoint", "Device", "Observation")


async def ask(http, method, url, **options):
    """The first answer that is no refusal of the moment, and how many of those came before."""
    for tried in range(TRIES):
        try:
            answer = await http.request(method, url, **options)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code not in REPEATED:
            return answer, tried
        await asyncio.sleep(WAIT_S)
    raise AssertionError(f"{method} {url.partition('?')[0]}: no answer but refusals")


async def read(http, url, **options):
    answer, _ = await ask(http, "GET", url, **options)
    return answer.raise_for_status().json()


async def read_resources(http, fhir):
    """Everything in FHIR of the types that the app writes, through searches alone."""
    found = {}
    for resource_type in RESOURCE_TYPES:
        url = f"{fhir}/{resource_type}?_count={PAGE}"
        while url:
            page = await read(http, url)
            resources = [entry["resource"] for entry in page.get("entry", [])]
            found |= {f"{one['resourceType']}/{one['id']}": one for one in resources}
            url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)
    return list(found.values())
