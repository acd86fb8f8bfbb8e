"""Settings that are kept in a Key Vault, read once and whole: `--` stands between the levels of a secret's name."""

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from shared.errors import Misconfigured, SyncError, Unavailable
from shared.retry import SDK_OPTIONS, retry_after_s
from shared.settings.path import Path, path_of
from shared.settings.source import HOW_TO_NAME, SECTIONS
from shared.text_forms import check_secure, parse_url

VAULT = "KeyVault__Endpoint"
MOST_PAGES = 1000  # of 25 secrets at most


def vault_settings(endpoint: str) -> dict[Path, str]:
    """The values of the secrets that are named like settings, by their path. Raises Misconfigured or Unavailable."""
    try:
        url = check_secure(parse_url(endpoint))
    except ValueError as error:
        raise _misconfigured(f"{VAULT} {error}", "settings") from None
    try:
        with DefaultAzureCredential(**SDK_OPTIONS) as credential, SecretClient(url, credential, **SDK_OPTIONS) as vault:
            names = [name for name in _listed(vault) if _is_setting(path_of(name))]
            found = {path_of(name): (vault.get_secret(name).value or "").strip() for name in names}
    except AzureError as error:
        raise vault_error(error) from None
    except SyncError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer or address that is no vault's makes the libraries raise anything
        raise Unavailable(f"{VAULT}: the vault gave no usable answer ({type(error).__name__})") from None
    return {path: value for path, value in found.items() if value}


def _listed(vault: SecretClient) -> list[str]:
    """The names of the secrets that are enabled, page by page."""
    names: list[str] = []
    for number, page in enumerate(vault.list_properties_of_secrets().by_page()):
        if number == MOST_PAGES:
            raise Unavailable(f"{VAULT}: the vault's list of secrets does not end")
        names += [one.name for one in page if one.name and one.enabled]
    return names


def _is_setting(path: Path) -> bool:
    """Others may keep secrets in the same vault, which are none of this app's business."""
    return len(path) > 1 and (path[0] in SECTIONS or path == HOW_TO_NAME)


def vault_error(error: AzureError) -> SyncError:
    """The error that a failure of the vault stands for; its own text is dropped."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (401, 403):
        text = f"{VAULT}: the vault refuses access ({status}): give the app's identity the role Key Vault Secrets User"
        return _misconfigured(text, "access-refused")
    if isinstance(error, ClientAuthenticationError) and status is None:
        text = f"{VAULT}: the app has no identity to show: assign one, and set AZURE_CLIENT_ID to its client id"
        return _misconfigured(text, "access-refused")
    if status == 404:
        return _misconfigured(f"{VAULT}: there is no vault at this address", "wrong-endpoint")
    text = f"{VAULT}: the vault gave no usable answer ({status or type(error).__name__})"
    return Unavailable(text, retry_after_s=retry_after_s(getattr(getattr(error, "response", None), "headers", {})))


def _misconfigured(problem: str, code: str) -> Misconfigured:
    return Misconfigured(f"settings: {problem}", code=code, problems=[problem])
