"""What is in the vault, and the JSON that Key Vault makes of it (REST API 7.x, Secrets)."""

import base64
import binascii
import time
import uuid
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import Field, StringConstraints

from dev.identity.guard import Access
from dev.identity.settings import Settings
from dev.vault.certificate import DOMAIN

HOST = f"stand-in.{DOMAIN}"
URL = f"https://{HOST}"
AUDIENCE = f"https://{DOMAIN}"
ROLE = "Key Vault Secrets User"
LARGEST_PAGE = 25
STARTED_AT = int(time.time())

Name = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]
Json = dict[str, Any]


class Secret(Settings):
    value: str
    enabled: bool = True


class Contents(Settings):
    """secrets by name. access: who may read them. page_size: of the list. down: no connection lasts.
    challenge_resource: what challenges name; clients must refuse one that is not theirs.
    """

    secrets: Mapping[Name, Secret] = Field(default_factory=dict)
    access: Access = Access(audiences=(AUDIENCE,), role=ROLE)
    page_size: int = Field(default=LARGEST_PAGE, ge=1, le=LARGEST_PAGE)
    down: bool = False
    challenge_resource: str = AUDIENCE

    def find(self, name: str) -> tuple[str, Secret] | None:
        """A secret under its own spelling; names are told apart without regard to case."""
        return next((one for one in self.secrets.items() if one[0].lower() == name.lower()), None)

    def page(self, api_version: str, size: int | None, token: str | None) -> Json:
        """A page of the list in the order of names, without values. Raises ValueError on a token of no page."""
        after = _name_in(token) if token else ""
        names = sorted(name for name in self.secrets if name > after)
        size = min(size or self.page_size, self.page_size)
        items = [_item(name, self.secrets[name]) for name in names[:size]]
        if len(names) <= size:
            return {"value": items, "nextLink": None}
        more = {"api-version": api_version, "$skiptoken": _token_of(names[size - 1]), "maxresults": size}
        # the port is there in the real one's links too
        return {"value": items, "nextLink": f"{URL}:443/secrets?{urlencode(more)}"}


def version_of(name: str, secret: Secret) -> str:
    """Another one for each value."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {secret.value}").hex


def bundle(name: str, secret: Secret) -> Json:
    """A secret with its value."""
    item = _item(name, secret)
    return {**item, "id": f"{item['id']}/{version_of(name, secret)}", "value": secret.value}


def _item(name: str, secret: Secret) -> Json:
    attributes = {
        "enabled": secret.enabled,
        "created": STARTED_AT,
        "updated": STARTED_AT,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    }
    return {"id": f"{URL}/secrets/{name}", "attributes": attributes, "tags": {}}


def _token_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name_in(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("no page has this $skiptoken") from error
