"""The managed identity endpoint of App Service and Functions, as its environment variables name it.

GET {IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=…[&client_id=…] with the header X-IDENTITY-HEADER (Microsoft,
"How to use managed identities for App Service", REST endpoint reference). Texts of errors are those that operators
report from the real one.
"""

import secrets
import uuid
from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dev.identity.directory import Directory, Identity
from dev.identity.faults import Faults, retry_after
from dev.identity.tokens import Tokens

API_VERSION = "2019-08-01"
# other ways to name a user-assigned identity; none of ours is known by them
OTHER_NAMES = ("principal_id", "object_id", "mi_res_id")
NOT_FOUND = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
NOT_LOADED = "Unable to load the proper Managed Identity."
# also what it says of a resource that the directory does not know
UNEXPECTED = "An unexpected error occured while fetching the AAD Token."


class ManagedIdentity:
    """The endpoint; `header` is what only the app is told."""

    def __init__(self, tokens: Tokens, faults: Faults) -> None:
        self._tokens = tokens
        self._faults = faults
        self.header = secrets.token_hex(16).upper()
        self.refused: Counter[str] = Counter()

    async def answer(self, request: Request, directory: Directory) -> Response:
        if (rule := await self._faults.drawn(request)) is not None:
            return self._refusal(rule.status, UNEXPECTED, retry_after(rule))
        if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", "").encode(), self.header.encode()):
            return self._refusal(401, "Unauthorized")
        query = request.query_params
        resource = query.get("resource", "")
        if query.get("api-version") != API_VERSION or not resource:
            return self._refusal(400, f"The request needs api-version={API_VERSION} and a resource.")
        found = _identity(directory, request)
        if found is None:
            named = any(query.get(name) for name in ("client_id", *OTHER_NAMES))
            return self._refusal(400, NOT_FOUND if named else NOT_LOADED)
        if not directory.knows(resource):
            return self._refusal(500, UNEXPECTED)
        return self._token(resource, *found, directory)

    def _token(self, resource: str, client_id: str, identity: Identity, directory: Directory) -> Response:
        token = self._tokens.issue(
            "managed_identity",
            client_id,
            resource,
            identity.roles,
            lifetime_s=directory.lifetime_s,
            opaque=directory.opaque,
        )
        body = {
            "access_token": token.text,
            "expires_on": str(token.expires_on),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id,
        }
        return JSONResponse(body)

    def _refusal(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        self.refused[str(status)] += 1
        body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
        return JSONResponse(body, status, headers)


def _identity(directory: Directory, request: Request) -> tuple[str, Identity] | None:
    """The identity that is asked for: by client id, or the system-assigned one when none is named."""
    query = request.query_params
    if any(query.get(name) for name in OTHER_NAMES):
        return None
    if client_id := query.get("client_id"):
        identity = directory.identities.get(client_id)
        return (client_id, identity) if identity else None
    return next((one for one in directory.identities.items() if one[1].system_assigned), None)
