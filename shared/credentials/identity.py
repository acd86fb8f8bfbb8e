"""Tokens of the app's own identity; on a developer's machine, of who is signed in with the Azure CLI."""

from azure.core.exceptions import AzureError
from azure.identity.aio import DefaultAzureCredential

from shared.credentials.tokens import Token
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.settings.authentication import ManagedIdentityCredential


def credential_of(client_id: str | None) -> DefaultAzureCredential:
    """The identity with this client id; without one that of AZURE_CLIENT_ID, else the app's system-assigned one."""
    named = {"managed_identity_client_id": client_id} if client_id else {}  # None would rule AZURE_CLIENT_ID out
    return DefaultAzureCredential(additionally_allowed_tenants=["*"], **named)


async def identity_token(service: str, settings: ManagedIdentityCredential) -> Token:
    """A token of the app's identity. The credential is made anew, since it would give a refused token once more."""
    try:
        async with credential_of(settings.client_id) as credential:
            found = await credential.get_token(f"{settings.resource}/.default", tenant_id=settings.tenant_id)
    except AzureError as error:
        raise identity_error(service, error) from None
    return Token.of(found.token, found.expires_on)


def identity_error(service: str, error: Exception) -> SyncError:
    """The error that a failure of azure-identity stands for; its own text is dropped."""
    status = getattr(error, "status_code", None)
    if status in (408, 429) or (status or 0) >= 500:
        return Unavailable(f"the identity's token for {service} is not to be had now ({status})", outcome_unknown=False)
    return Misconfigured(
        f"the app has no identity that gets a token for {service} ({status or type(error).__name__}): assign one, and "
        "check ManagedIdentityCredential__Resource, the audience, and __ClientId, which a user-assigned one needs",
        code="access-refused",
    )
