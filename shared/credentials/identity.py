"""Tokens of the app's own identity; on a developer's machine, of who is signed in with the Azure CLI."""

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from shared.credentials.tokens import Token
from shared.errors import Misconfigured, SyncError, Unavailable
from shared.retry import SDK_OPTIONS, retry_after_s
from shared.settings import authentication
from shared.settings.source import app_settings

# App Service names its identity endpoint so
ENDPOINT, CLIENT_ID = ("identity_endpoint",), ("azure_client_id",)


def credential_of(client_id: str | None) -> AsyncTokenCredential:
    """The identity with this client id; without one that of AZURE_CLIENT_ID, else the app's system-assigned one.

    In Azure nothing else is tried: a chain of credentials does not say whether it was refused or nobody answered.
    """
    client_id = client_id or app_settings().get(CLIENT_ID)
    if ENDPOINT in app_settings():
        return ManagedIdentityCredential(client_id=client_id, **SDK_OPTIONS)
    return DefaultAzureCredential(
        managed_identity_client_id=client_id, additionally_allowed_tenants=["*"], **SDK_OPTIONS
    )


async def identity_token(service: str, settings: authentication.ManagedIdentityCredential) -> Token:
    """A token of the app's identity. The credential is made anew, since it would give a refused token once more."""
    try:
        async with credential_of(settings.client_id) as credential:
            found = await credential.get_token(f"{settings.resource}/.default", tenant_id=settings.tenant_id)
            return Token.of(found.token, found.expires_on)
    except AzureError as error:
        raise identity_error(service, error) from None
    except Exception as error:  # noqa: BLE001 - an answer that is no token makes the libraries raise anything
        raise unusable_token(service, error) from None


def unusable_token(service: str, error: Exception) -> Unavailable:
    """The error for whatever else the libraries raise, or whatever no token can be made of; its text is dropped."""
    text = f"the identity's token for {service} cannot be read ({type(error).__name__})"
    return Unavailable(text, outcome_unknown=False)


def identity_error(service: str, error: AzureError) -> SyncError:
    """The error that a failure of azure-identity stands for; its own text is dropped."""
    status = getattr(error, "status_code", None)
    if status in (408, 429) or (status or 0) >= 500 or not isinstance(error, ClientAuthenticationError):
        text = f"the identity's token for {service} is not to be had now ({status or type(error).__name__})"
        asked = retry_after_s(getattr(getattr(error, "response", None), "headers", {}))
        return Unavailable(text, retry_after_s=asked, outcome_unknown=False)
    return Misconfigured(
        f"the app has no identity that gets a token for {service} ({status or type(error).__name__}): assign one, and "
        "check ManagedIdentityCredential__Resource, the audience, and __ClientId, which a user-assigned one needs",
        code="access-refused",
    )
