"""`/_dev/`: look at the counters, forget everything, bend the service.

JSON in and out; nothing of it is part of the real service.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.dicom.service import Service

# how the metadata of one instance fails in the service itself: it cannot be read, or is not there
NUMBERING = ("skip", "hold", "release", "reset_sequence")
UNREADABLE = {"status_503": 503, "lost": 500}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def stats(request: Request) -> Response:
    """Traffic since the last reset, and how much there is."""
    service = _service(request)
    counted = service.faults.stats
    archive = service.archive
    return JSONResponse(
        {
            "requests": {route: dict(methods) for route, methods in counted.requests.items()},
            "statuses": dict(counted.statuses),
            "faults": dict(counted.faults),
            "bytes_in": counted.bytes_in,
            "bytes_out": counted.bytes_out,
            "studies": len(archive.studies),
            "instances": sum(len(study.instances()) for study in archive.studies.values()),
            "feed_rows": len(archive.feed),
            "next_sequence": archive.feed.next_sequence,
        }
    )


async def reset(request: Request) -> Response:
    """Forget everything."""
    _service(request).reset()
    return JSONResponse({})


async def faults(request: Request) -> Response:
    """Replace the rules: a list, or {"rules": list, "seed": number}."""
    body = await request.json()
    rules, seed = (body, 0) if isinstance(body, list) else (body["rules"], body.get("seed", 0))
    for rule in rules:
        seed = rule.pop("seed", seed)
    _service(request).faults.use(rules, seed)
    return JSONResponse({"rules": len(rules)})


async def feed(request: Request) -> Response:
    """Shape the feed: numbering and visibility are content and stay; casing and malformations last until a reset."""
    service, body = _service(request), await request.json()
    _apply_shape(service, body)
    numbering = {name: body[name] for name in NUMBERING if name in body}
    if numbering:
        service.commit("feed", **numbering)
    return JSONResponse({"next_sequence": service.archive.feed.next_sequence})


def _apply_shape(service: Service, body: dict[str, Any]) -> None:
    """Numbering and what the service cannot read are the service's; the rest is the gateway's."""
    wishes = {name: value for name, value in body.items() if name not in NUMBERING}
    wish = wishes.get("malform_metadata", {})
    service.unreadable.pop(wish.get("sop_instance_uid"), None)
    if wish.get("how") in UNREADABLE:
        service.unreadable[wish["sop_instance_uid"]] = UNREADABLE[wish["how"]]
        service.gateway.metadata.pop(wish["sop_instance_uid"], None)
        del wishes["malform_metadata"]
    service.gateway.use(wishes)


async def bulk(request: Request) -> Response:
    """Create synthetic instances with feed rows."""
    service, body = _service(request), await request.json()
    # another call without a seed makes other studies
    body.setdefault("seed", service.archive.watermark)
    return JSONResponse({"studies": service.commit("bulk", **body)})


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return guarded


ROUTES = [
    Route("/_dev/stats", stats),
    *(
        Route(f"/_dev/{handler.__name__}", _guarded(handler), methods=["POST"])
        for handler in (reset, faults, feed, bulk)
    ),
]
