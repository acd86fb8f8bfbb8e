"""What a route sees of a request: the service, the API version, the partition, checked UIDs and query parameters.

Errors are plain text with a status (dicom-server: ExceptionHandlingMiddleware, QueryModelStateValidatorAttribute).
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from dev.dicom.model import DEFAULT_PARTITION
from dev.dicom.rules import uid_is_valid
from dev.dicom.service import Service

JSON = "application/json; charset=utf-8"
DICOM_JSON = "application/dicom+json"
DICOM_JSON_UTF8 = f"{DICOM_JSON}; charset=utf-8"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
LONG_MAX = 2**63 - 1


class Refused(Exception):
    """An answer other than success: status, text and nothing else."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def refusal(_: Request, refused: Exception) -> Response:
    """The text/plain answer; without text the body is empty."""
    assert isinstance(refused, Refused)
    if not refused.text:
        return Response(status_code=refused.status)
    return PlainTextResponse(refused.text, refused.status)


@dataclass(slots=True)
class Call:
    """One request to a versioned route."""

    request: Request
    service: Service
    version: int
    partition: str = DEFAULT_PARTITION

    @property
    def base(self) -> str:
        """The absolute URL up to version and partition, for links in answers."""
        path = self.request.path_params
        segment = f"/partitions/{self.partition}" if "partition" in path else ""
        return f"{self.request.base_url}v{path['version']}{segment}"

    def uids(self) -> tuple[str, ...]:
        """Study, series and instance UID of the path, as many as there are; malformed ones are refused."""
        names = ("study", "series", "instance")
        found = [(name, value) for name in names if (value := self.request.path_params.get(name)) is not None]
        for name, value in found:
            if not uid_is_valid(value):
                raise Refused(400, f"{name.capitalize()}InstanceUid is not a valid UID.")
        return tuple(value for _, value in found)

    def query(self) -> dict[str, str]:
        """Query parameters by lower-case name, names being case-insensitive; of one given twice, the first."""
        return {name.lower(): value for name, value in reversed(self.request.query_params.multi_items())}

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number in a range; nothing is clamped."""
        text = self.query().get(name.lower())
        if text is None:
            return default
        text = text.strip()
        if not _WHOLE_NUMBER.fullmatch(text):
            raise invalid(name, f"The value '{text}' is not valid.")
        if len(text) > 20 or not low <= int(text) <= high:
            raise invalid(name, f"The value must be between {low} and {high}.")
        return int(text)

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.query().get(name.lower())
        if text is None:
            return default
        if text.lower() not in ("true", "false"):
            raise invalid(name, f"The value '{text}' is not valid.")
        return text.lower() == "true"

    def require_json(self) -> None:
        """406 with an empty body unless Accept allows DICOM JSON; no Accept header allows nothing."""
        if not set(accepted(self.request)) & {"*/*", "application/*", "application/json", DICOM_JSON}:
            raise Refused(406)


def invalid(name: str, reason: str) -> Refused:
    return Refused(400, f"The query parameter '{name}' is invalid. {reason}")


def accepted(request: Request) -> list[str]:
    """The media types of the Accept header without their parameters."""
    ranges = ",".join(request.headers.getlist("accept")).split(",")
    return [bare for item in ranges if (bare := item.split(";")[0].strip().lower())]


def encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def dicom_json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type=DICOM_JSON_UTF8)


Answer = Callable[[Call], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Any]]
