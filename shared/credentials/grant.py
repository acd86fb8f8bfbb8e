"""Tokens by an OAuth 2.0 grant, from any identity provider (RFC 6749)."""

import json
import re
import time
from typing import Any

import httpx
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient
from oauthlib.oauth2.rfc6749.parameters import parse_token_response

from shared.credentials.tokens import Token
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.http import error_for, new_client, send
from shared.settings.authentication import OAuth2ClientCredential, OAuth2UserPasswordCredential

# of a server that does not say how long its token lives (5.1)
UNSAID_LIFE_S = 600.0
# what a header can carry; RFC 6750 2.1 allows less
TOKEN = re.compile(r"[!-~]+")
REASONS = {
    "invalid_client": "check ClientId and ClientSecret; the secret may have expired",
    "invalid_grant": "check Username and Password",
    "invalid_scope": "check Scope",
    "invalid_target": "check Resource",
    "invalid_resource": "check Resource",
    "unauthorized_client": "this client may not use this grant; allow it, or set another AuthenticationType",
    "unsupported_grant_type": "the server does not offer this grant; set another AuthenticationType",
    "invalid_request": "check TokenUri, Scope and Resource",
}


async def grant_token(service: str, settings: OAuth2ClientCredential) -> Token:
    """A token by the grant of RFC 6749 that the settings are of."""
    what = f"the token endpoint for {service}"
    async with new_client(settings.token_uri, None) as client:
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = client.build_request("POST", settings.token_uri, content=_grant(settings), headers=form)
        asked_at = time.time()
        response = await send(client, what, request)
    if not response.is_success:
        raise _refusal(what, response)
    return _granted(what, response.content.decode(errors="replace"), asked_at)


def _grant(settings: OAuth2ClientCredential) -> str:
    """The form that is posted; client id and secret go with it, as DICOM Cast sent them."""
    more: dict[str, Any] = {"client_secret": settings.client_secret.get_secret_value(), "include_client_id": True}
    if settings.resource:
        more["resource"] = settings.resource
    scope = settings.scope or None
    if isinstance(settings, OAuth2UserPasswordCredential):
        username, password = settings.username.get_secret_value(), settings.password.get_secret_value()
        owner = LegacyApplicationClient(settings.client_id)
        return str(owner.prepare_request_body(username, password, scope=scope, **more))
    return str(BackendApplicationClient(settings.client_id).prepare_request_body(scope=scope, **more))


def _granted(what: str, body: str, asked_at: float) -> Token:
    try:
        found = parse_token_response(body)
        life_s = float(found.get("expires_in") or UNSAID_LIFE_S)
        text = str(found["access_token"])
    except Exception:  # noqa: BLE001 - an answer that is no token makes the library raise anything
        text, life_s = "", 0.0
    if not TOKEN.fullmatch(text):
        raise Unavailable(f"{what} answered without a token", outcome_unknown=False)
    return Token.of(text, asked_at + life_s)


def _refusal(what: str, response: httpx.Response) -> SyncError:
    """400 and 401 name a reason (RFC 6749, 5.2); its code is repeated, its text is not."""
    if response.status_code not in (400, 401, 403):
        return error_for(what, response)
    try:
        reason = str(json.loads(response.content)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        reason = ""
    known = reason if reason in REASONS else "no reason of RFC 6749"
    return Misconfigured(
        f"{what} refuses the credential ({response.status_code}, {known}): {REASONS.get(reason, 'check its settings')}",
        code="access-refused",
    )
