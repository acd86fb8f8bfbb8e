"""The token endpoint of an OAuth2 authorization server: client credentials and password grant (RFC 6749, 4.4 and 4.3).

Any path that ends in /token is one. Entra's two differ: /oauth2/token takes a `resource` and says numbers as text,
/oauth2/v2.0/token takes a `scope` only; every other takes either.
"""

import math
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dev.identity.client import OAuthError, authenticated
from dev.identity.directory import Directory
from dev.identity.faults import Faults, retry_after
from dev.identity.tokens import Token, Tokens

FORM = "application/x-www-form-urlencoded"
GRANTS = ("client_credentials", "password")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
DEFAULT = "/.default"
V1, V2 = "/oauth2/token", "/oauth2/v2.0/token"
# what OAuth2 calls a server that fails; RFC 6749 has words for the authorization endpoint only
FAILED = {429: "temporarily_unavailable", 503: "temporarily_unavailable"}


class TokenEndpoint:
    def __init__(self, tokens: Tokens, faults: Faults) -> None:
        self._tokens = tokens
        self._faults = faults
        self.refused: Counter[str] = Counter()

    async def answer(self, request: Request, directory: Directory) -> Response:
        if (rule := await self._faults.drawn(request)) is not None:
            error = OAuthError(FAILED.get(rule.status, "server_error"), "Please retry.", 90033, rule.status)
            return self._refusal(error, retry_after(rule))
        try:
            form = _form(request.headers.get("Content-Type", ""), await request.body())
            token = self._grant(form, request.headers.get("Authorization"), request.url.path, directory)
        except OAuthError as error:
            challenge = {"WWW-Authenticate": 'Basic realm="token endpoint"'} if error.status == 401 else {}
            return self._refusal(error, challenge)
        return JSONResponse(_body(token, request.url.path, directory), headers=NO_STORE)

    def _grant(self, form: dict[str, str], authorization: str | None, path: str, directory: Directory) -> Token:
        grant = form.get("grant_type")
        if not grant:
            raise OAuthError("invalid_request", "The request body must contain 'grant_type'.", 900144)
        if grant not in GRANTS:
            raise OAuthError("unsupported_grant_type", f"The grant type '{grant}' is not supported.", 70003)
        client_id, client = authenticated(form, authorization, directory)
        if grant not in client.grants or (grant == "client_credentials" and not client.secrets):
            raise OAuthError("unauthorized_client", f"The client may not use the grant '{grant}'.", 700051)
        user = _user(form, directory) if grant == "password" else None
        return self._tokens.issue(
            grant,
            client_id,
            _audience(form, path, directory) or directory.audience or client_id,
            client.roles,
            lifetime_s=directory.lifetime_s,
            opaque=directory.opaque,
            user=user,
        )

    def _refusal(self, error: OAuthError, headers: dict[str, str]) -> Response:
        self.refused[error.error] += 1
        body: dict[str, Any] = {"error": error.error, "error_description": error.description}
        if error.number:
            body["error_description"] = f"AADSTS{error.number}: {error.description}"
            body["error_codes"] = [error.number]
        body["correlation_id"] = str(uuid.uuid4())
        return JSONResponse(body, error.status, {**NO_STORE, **headers})


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """Fields of the body; empty ones count as left out, repeated ones are an error (RFC 6749, 3.2)."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"The body must be {FORM}.")
    pairs = parse_qsl(body.decode("utf-8", "replace"))
    if len({name for name, _ in pairs}) < len(pairs):
        raise OAuthError("invalid_request", "A parameter is there more than once.")
    return dict(pairs)


def _user(form: Mapping[str, str], directory: Directory) -> str:
    name, password = form.get("username"), form.get("password")
    if not name or not password:
        raise OAuthError("invalid_request", "The request body must contain 'username' and 'password'.", 900144)
    known = directory.users.get(name)
    if known is None or not secrets.compare_digest(known.encode(), password.encode()):
        raise OAuthError("invalid_grant", "Invalid username or password.", 50126)
    return name


def _audience(form: Mapping[str, str], path: str, directory: Directory) -> str | None:
    """Whom the token is for; None where no resource is named, as scopes of other makers' servers do not."""
    resource, scopes = form.get("resource"), form.get("scope", "").split()
    if path.endswith(V2):
        if resource:
            raise OAuthError("invalid_request", "The 'resource' request parameter is not supported.", 901002)
        if not scopes:
            raise OAuthError("invalid_request", "The request body must contain 'scope'.", 900144)
        if form["grant_type"] == "client_credentials" and not all(scope.endswith(DEFAULT) for scope in scopes):
            raise OAuthError("invalid_scope", f"The scope must be a resource with {DEFAULT} behind it.", 1002012)
    of_scopes = {_resource_of(scope) for scope in scopes if "://" in scope}
    if len(of_scopes) > 1:
        raise OAuthError("invalid_scope", "The scopes are of more than one resource.", 70011)
    audience = resource or next(iter(of_scopes), None)
    if audience is not None and not directory.knows(audience):
        error = "invalid_resource" if path.endswith((V1, V2)) else "invalid_scope"
        raise OAuthError(error, f"The resource principal named {audience} was not found.", 500011)
    return audience


def _resource_of(scope: str) -> str:
    """https://host/.default and https://host/name are scopes of https://host."""
    return scope.rpartition("/")[0] if scope.count("/") > 2 else scope


def _body(token: Token, path: str, directory: Directory) -> dict[str, Any]:
    seconds = math.floor(token.expires_on - time.time())  # Entra says 3599 of an hour's token, too
    form = directory.expires_in or ("text" if path.endswith(V1) else "number")
    body: dict[str, Any] = {"token_type": "Bearer", "access_token": token.text}
    if form != "missing":
        body["expires_in"] = str(seconds) if form == "text" else seconds
        if path.endswith((V1, V2)):
            body["ext_expires_in"] = body["expires_in"]
    if path.endswith(V1):
        body |= {"not_before": str(token.issued_at), "resource": token.audience}
        if form != "missing":
            body["expires_on"] = str(token.expires_on)
    return body
