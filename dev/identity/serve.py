"""`python -m dev identity`: stand-ins for App Service's managed identity endpoint and an OAuth2 token server."""

from typing import Annotated, Any

import typer

from dev.asgi import listen, origin_of, serve
from dev.identity.app import MANAGED, IdentityProvider
from dev.identity.oauth import V1, V2
from dev.process import exit_with_parent, terminate_on_sigterm


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8093,
) -> None:
    """A managed identity endpoint and an OAuth2 token server, for tests of authentication; steered under /_dev/."""
    exit_with_parent()
    terminate_on_sigterm()
    with listen(port) as listening:
        provider = IdentityProvider(origin_of(listening))
        serve(provider.app(), listening, _ready(provider), lifespan="off")


def _ready(provider: IdentityProvider) -> dict[str, Any]:
    """Where everything is, and the made-up credentials that are accepted at first."""
    ((client_id, client),) = provider.at_start.clients.items()
    ((username, password),) = provider.at_start.users.items()
    return {
        "part": "identity",
        "url": provider.origin,
        "authority": provider.authority,
        "token_uri": provider.authority + V2,
        "token_uri_v1": provider.authority + V1,
        "client_id": client_id,
        "client_secret": client.secrets[0],
        "username": username,
        "password": password,
        "identities": {
            "system_assigned" if one.system_assigned else "user_assigned": name
            for name, one in provider.at_start.identities.items()
        },
        "environment": {
            "IDENTITY_ENDPOINT": provider.origin + MANAGED,
            "IDENTITY_HEADER": provider.managed.header,
        },
        "admin": f"{provider.origin}/_dev",
    }
