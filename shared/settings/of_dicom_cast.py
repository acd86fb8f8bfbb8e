"""What becomes of each setting that DICOM Cast reads: taken, refused by name, or without effect.

The names are those of its configuration classes, of version `eeefbe4d7` of microsoft/dicom-server.
"""

from collections.abc import Iterable
from enum import StrEnum

from shared.settings.path import Path, path_of


class Use(StrEnum):
    """What this app does with a setting."""

    TAKEN = "taken"
    REFUSED = "refused"
    NO_EFFECT = "without effect"


OF_AUTHENTICATION = {
    "Enabled": Use.TAKEN,
    "AuthenticationType": Use.TAKEN,
    "ManagedIdentityCredential__Resource": Use.TAKEN,
    "ManagedIdentityCredential__TenantId": Use.TAKEN,
    "ManagedIdentityCredential__ClientId": Use.TAKEN,
    "OAuth2ClientCredential__TokenUri": Use.TAKEN,
    "OAuth2ClientCredential__Resource": Use.TAKEN,
    "OAuth2ClientCredential__Scope": Use.TAKEN,
    "OAuth2ClientCredential__ClientId": Use.TAKEN,
    "OAuth2ClientCredential__ClientSecret": Use.TAKEN,
    "OAuth2UserPasswordCredential__TokenUri": Use.TAKEN,
    "OAuth2UserPasswordCredential__Resource": Use.TAKEN,
    "OAuth2UserPasswordCredential__Scope": Use.TAKEN,
    "OAuth2UserPasswordCredential__ClientId": Use.TAKEN,
    "OAuth2UserPasswordCredential__ClientSecret": Use.TAKEN,
    "OAuth2UserPasswordCredential__Username": Use.TAKEN,
    "OAuth2UserPasswordCredential__Password": Use.TAKEN,
    "OAuth2ClientCertificateCredential__TokenUri": Use.REFUSED,
    "OAuth2ClientCertificateCredential__Resource": Use.REFUSED,
    "OAuth2ClientCertificateCredential__Scope": Use.REFUSED,
    "OAuth2ClientCertificateCredential__ClientId": Use.REFUSED,
    "OAuth2ClientCertificateCredential__Certificate": Use.REFUSED,
}
SETTINGS_OF_DICOM_CAST: dict[str, Use] = {
    "DicomWeb__Endpoint": Use.TAKEN,
    "DicomWeb__PrivateEndpoint": Use.TAKEN,
    **{f"DicomWeb__Authentication__{name}": use for name, use in OF_AUTHENTICATION.items()},
    "Fhir__Endpoint": Use.TAKEN,
    **{f"Fhir__Authentication__{name}": use for name, use in OF_AUTHENTICATION.items()},
    "DicomCast__Features__EnforceValidationOfTagValues": Use.TAKEN,
    "DicomCast__Features__GenerateObservations": Use.TAKEN,
    "DicomCast__Features__IgnoreJsonParsingErrors": Use.TAKEN,
    "DicomCastWorker__PollInterval": Use.TAKEN,
    "DicomCastWorker__PollIntervalDuringCatchup": Use.NO_EFFECT,
    "RetryConfiguration__TotalRetryDuration": Use.TAKEN,
    "Patient__PatientSystemId": Use.TAKEN,
    "Patient__IsIssuerIdUsed": Use.TAKEN,
    "TableStore__ConnectionString": Use.TAKEN,
    "TableStore__EndpointUri": Use.TAKEN,
    "TableStore__ClientId": Use.TAKEN,
    "TableStore__TableNamePrefix": Use.TAKEN,
    "KeyVault__Endpoint": Use.TAKEN,
    "ApplicationInsights__InstrumentationKey": Use.NO_EFFECT,
    "Logging__LogLevel": Use.NO_EFFECT,
}
_NO_EFFECT = {path_of(name): name for name, use in SETTINGS_OF_DICOM_CAST.items() if use is Use.NO_EFFECT}


def without_effect(paths: Iterable[Path]) -> list[str]:
    """The names of DICOM Cast's settings among these that this app does nothing with."""
    named = {path[: len(one)] for path in paths for one in _NO_EFFECT}
    return sorted(name for path, name in _NO_EFFECT.items() if path in named)
