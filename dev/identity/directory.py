"""Who gets which token: applications, users and managed identities, as the administrator of a directory has them."""

import secrets
import uuid
from collections.abc import Mapping
from typing import Literal

from dev.identity.settings import Settings

Grant = Literal["client_credentials", "password"]
# what this app needs at the services it talks to
ROLES = ("DICOM Data Reader", "FHIR Data Writer", "Key Vault Secrets User")


class Client(Settings):
    """An application. secrets: the ones that are accepted, none makes it public. roles: what its tokens say."""

    secrets: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ("client_credentials", "password")
    roles: tuple[str, ...] = ()


class Identity(Settings):
    """A managed identity of the app that asks."""

    system_assigned: bool = False
    roles: tuple[str, ...] = ()


class Directory(Settings):
    """clients and identities by client id, users with their passwords.

    resources: those that tokens can be had for, null for any. audience: of tokens for which no resource is named, null
    for the client. lifetime_s: of a token; zero or less gives expired ones. expires_in: its form, null for the one of
    the endpoint. opaque: tokens are random text instead of JWTs.
    """

    clients: Mapping[str, Client]
    users: Mapping[str, str]
    identities: Mapping[str, Identity]
    resources: tuple[str, ...] | None = None
    audience: str | None = None
    lifetime_s: int = 3600
    expires_in: Literal["number", "text", "missing"] | None = None
    opaque: bool = False

    def knows(self, resource: str) -> bool:
        return self.resources is None or resource in self.resources


def made_up() -> Directory:
    """One of each, with identifiers and secrets that nobody has seen before."""
    return Directory(
        clients={str(uuid.uuid4()): Client(secrets=(secrets.token_urlsafe(24),), roles=ROLES)},
        users={"user@example.org": secrets.token_urlsafe(16)},
        identities={
            str(uuid.uuid4()): Identity(system_assigned=True, roles=ROLES),
            str(uuid.uuid4()): Identity(roles=ROLES),
        },
    )
