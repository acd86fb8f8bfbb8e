"""How the app proves who it is to one service: sections, names and text forms of DICOM Cast."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr, model_validator

from shared.settings.section import Boolean, Section, SecureUrl, Text

MANAGED_IDENTITY, CLIENT_CREDENTIAL, USER_PASSWORD = (
    "ManagedIdentity",
    "OAuth2ClientCredential",
    "OAuth2UserPasswordCredential",
)
CLIENT_CERTIFICATE = "OAuth2ClientCertificateCredential"  # DICOM Cast had this one, too
SECTION_OF = {
    MANAGED_IDENTITY.lower(): "managedidentitycredential",
    CLIENT_CREDENTIAL.lower(): "oauth2clientcredential",
    USER_PASSWORD.lower(): "oauth2userpasswordcredential",
}


class ManagedIdentityCredential(Section):
    """The app's own identity, or a developer's Azure CLI locally. `resource` is the audience of its tokens."""

    resource: Text
    tenant_id: str | None = None
    client_id: str | None = None


class OAuth2ClientCredential(Section):
    """A client credentials grant (RFC 6749, 4.4)."""

    token_uri: SecureUrl
    resource: str = ""
    scope: str = ""
    client_id: Text
    client_secret: SecretStr = Field(min_length=1)


class OAuth2UserPasswordCredential(OAuth2ClientCredential):
    """A password grant (RFC 6749, 4.3)."""

    username: SecretStr = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class Authentication(Section):
    """Only the credential that is used is looked at; the others are None, whatever was set."""

    enabled: Boolean = False
    authentication_type: str = ""
    managed_identity_credential: ManagedIdentityCredential | None = None
    o_auth2_client_credential: OAuth2ClientCredential | None = None
    o_auth2_user_password_credential: OAuth2UserPasswordCredential | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_used(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        rest = {name: value for name, value in data.items() if name not in SECTION_OF.values()}
        if str(data.get("enabled", "")).strip().lower() != "true":
            return rest
        kind = str(data.get("authenticationtype", "")).strip().lower()
        if (section := SECTION_OF.get(kind)) is None:
            known = f"{MANAGED_IDENTITY}, {CLIENT_CREDENTIAL}, {USER_PASSWORD}"
            if kind == CLIENT_CERTIFICATE.lower():
                raise ValueError(f"has the AuthenticationType {CLIENT_CERTIFICATE}, which this app cannot: set {known}")
            raise ValueError(f"needs AuthenticationType to be one of {known}")
        found = data.get(section)
        used = dict(found) if isinstance(found, Mapping) else {}
        if kind == USER_PASSWORD.lower():  # DICOM Cast's page shows these under the other name
            elsewhere = data.get(SECTION_OF[CLIENT_CREDENTIAL.lower()])
            used = {**(elsewhere if isinstance(elsewhere, Mapping) else {}), **used}
        return {**rest, section: used}
