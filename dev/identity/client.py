"""Which application asks for a token, and whether it is the one it says it is (RFC 6749, section 2.3)."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from dev.identity.directory import Client, Directory


@dataclass(eq=False)
class OAuthError(Exception):
    """An answer of RFC 6749, section 5.2; `number` is that of Entra for the same thing."""

    error: str
    description: str
    number: int = 0
    status: int = 400


def authenticated(form: Mapping[str, str], authorization: str | None, directory: Directory) -> tuple[str, Client]:
    """The client id and what the directory knows of it; raises OAuthError."""
    client_id, secret = _credentials(form, authorization)
    client = directory.clients.get(client_id)
    if client is None:
        raise OAuthError("invalid_client", f"Application with identifier '{client_id}' was not found.", 700016, 401)
    accepted = [secrets.compare_digest(secret.encode(), one.encode()) for one in client.secrets]
    if client.secrets and not any(accepted):
        raise OAuthError("invalid_client", f"Invalid client secret provided for app '{client_id}'.", 7000215, 401)
    return client_id, client


def _credentials(form: Mapping[str, str], authorization: str | None) -> tuple[str, str]:
    """Id and secret, from the header or from the body but not from both."""
    if authorization is None:
        if "client_id" not in form:
            raise OAuthError("invalid_request", "The request body must contain 'client_id'.", 900144)
        return form["client_id"], form.get("client_secret", "")
    if "client_secret" in form:
        raise OAuthError("invalid_request", "More than one way of client authentication was used.")
    scheme, _, encoded = authorization.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "The Authorization header is not Basic.", status=401)
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "Header and body name different clients.")
    return client_id, secret
