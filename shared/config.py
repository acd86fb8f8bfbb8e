"""Settings. Names and text forms are those of DICOM Cast.

Everything is checked at once; a wrong setting is reported by its name and what would be right, never by its value.
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.errors import Misconfigured
from shared.settings.authentication import Authentication
from shared.settings.hosting import DEFAULT_QUEUE_NAME, DEFAULT_SCHEDULE, POLL_INTERVAL, SCHEDULE
from shared.settings.section import Boolean, Section, SecureUrl, TimeSpan, Url, matching, problem_of
from shared.settings.source import AppSettings, app_settings
from shared.settings.unknown import known_settings, unknown_settings
from shared.text_forms import (
    check_schedule,
    check_secure,
    check_system,
    parse_addresses,
    parse_partition_systems,
    parse_systems,
    schedule_for,
)

PartitionSystems = Annotated[
    dict[str, str],
    BeforeValidator(lambda value: parse_partition_systems(value) if isinstance(value, str) else value),
]
Addresses = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: value if isinstance(value, tuple) else parse_addresses(value))
]
Systems = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: value if isinstance(value, tuple) else parse_systems(value))
]
ZONE_OFFSET = re.compile(r"[+-]((0\d|1[0-3]):?[0-5]\d|14:?00)", re.ASCII)


Named = TypeVar("Named", bound=StrEnum)


def _named(kinds: type[Named]) -> BeforeValidator:
    """Reads one of them by its name, case-insensitive; ValueError for another."""

    def read(value: object) -> Named:
        found = [one for one in kinds if one.lower() == str(value).strip().lower()]
        if not found:
            raise ValueError(f"must be {' or '.join(kinds)}")
        return found[0]

    return BeforeValidator(read)


def _number(value: object) -> object:
    """A whole number from 1, as text; ValueError for other texts."""
    if isinstance(value, str):
        if not re.fullmatch(r"[1-9][0-9]{0,8}", value.strip(), re.ASCII):
            raise ValueError("must be a whole number from 1 to 999999999")
        return int(value)
    return value


class Service(Section):
    """One of the two services. Tokens and patient data travel to it, so http is for loopback, or asked for by name."""

    allow_http: Boolean = False

    @field_validator("endpoint", "private_endpoint", check_fields=False)
    @classmethod
    def _is_secure(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or info.data.get("allow_http"):
            return value
        try:
            return check_secure(value)
        except ValueError as error:
            raise ValueError(f"{error}, unless AllowHttp beside it is true") from None


class DicomWeb(Service):
    """The DICOM service: `endpoint` is written into FHIR, `private_endpoint` is connected to where it is set.
    `former_endpoints` were written into FHIR before; nothing connects to them.
    """

    endpoint: Url
    private_endpoint: Url | None = None
    former_endpoints: Addresses = ()
    authentication: Authentication = Authentication()
    default_time_zone: str = ""

    @field_validator("default_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value and not ZONE_OFFSET.fullmatch(value):
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError("must be a zone such as Europe/Berlin or an offset such as +01:00") from None
        return value


class Fhir(Service):
    """The FHIR server."""

    endpoint: Url
    authentication: Authentication = Authentication()


class Features(Section):
    """Switches of DICOM Cast."""

    enforce_validation_of_tag_values: Boolean = False
    generate_observations: Boolean = True
    generate_irradiation_events: Boolean = True
    ignore_json_parsing_errors: Boolean = False


class DicomCast(Section):
    """Section of the feature switches."""

    features: Features = Features()


class DicomCastWorker(Section):
    """Section of the poll interval."""

    poll_interval: TimeSpan | None = None

    @field_validator("poll_interval")
    @classmethod
    def _is_a_schedule(cls, value: timedelta | None) -> timedelta | None:
        found = app_settings()
        if value is None or SCHEDULE in found:
            return value
        if schedule_for(value) is None:
            raise ValueError(
                "cannot be a timer schedule; set SYNC_SCHEDULE to an NCRONTAB such as 0 */5 * * * * instead"
            )
        if POLL_INTERVAL not in found:
            raise ValueError("is in Key Vault, which is read after the timer was set: make it an app setting")
        return value


class Demographics(StrEnum):
    """Who is the master of name, gender and birth date."""

    SYNC = "Sync"
    CREATE_ONLY = "CreateOnly"


class PatientSettings(Section):
    """How a Patient is identified and whether its demographics follow DICOM."""

    patient_system_id: Annotated[str, AfterValidator(check_system)] = ""
    former_system_ids: Systems = ()
    is_issuer_id_used: Boolean = False
    partition_system_ids: PartitionSystems = Field(default_factory=dict)
    demographics: Annotated[Demographics, _named(Demographics)] = Demographics.SYNC


class Instances(StrEnum):
    """Whether an ImagingStudy lists the instances of its series."""

    ALL = "All"
    NONE = "None"


class ImagingStudySettings(Section):
    """How much of a study an ImagingStudy lists."""

    instances: Annotated[Instances, _named(Instances)] = Instances.ALL
    most_instances: Annotated[int | None, BeforeValidator(_number)] = None

    @property
    def most_listed(self) -> int | None:
        """The largest number of instances that a study lists; None for any."""
        return 0 if self.instances is Instances.NONE else self.most_instances


class RetryConfiguration(Section):
    """How long a transient failure is retried before the study fails."""

    total_retry_duration: TimeSpan = timedelta(days=7)


class KeyVault(Section):
    """The vault that settings are read from too."""

    endpoint: Url | None = None


class TableStore(Section):
    """Where state and error tables live, when not in the app's own storage account. `client_id` is that of the identity
    for `endpoint_uri`; a connection string wins.
    """

    table_name_prefix: Annotated[
        str, matching("([A-Za-z][A-Za-z0-9]{0,30})?", "up to 31 letters and digits, a letter first")
    ] = ""
    connection_string: SecretStr | None = None
    endpoint_uri: SecureUrl | None = None
    client_id: str | None = None


class Settings(BaseSettings):
    """All settings, read once per worker process."""

    model_config = SettingsConfigDict(
        alias_generator=Section.model_config["alias_generator"],
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    dicom_web: DicomWeb
    fhir: Fhir
    dicom_cast: DicomCast = DicomCast()
    dicom_cast_worker: DicomCastWorker = DicomCastWorker()
    patient: PatientSettings = PatientSettings()
    imaging_study: ImagingStudySettings = ImagingStudySettings()
    retry_configuration: RetryConfiguration = RetryConfiguration()
    table_store: TableStore = TableStore()
    key_vault: KeyVault = KeyVault()
    study_queue_name: Annotated[
        str, matching("(?=.{3,56}$)[a-z0-9](-?[a-z0-9])*", "3 to 56 lower-case letters, digits and single hyphens")
    ] = DEFAULT_QUEUE_NAME
    sync_schedule: Annotated[str, AfterValidator(check_schedule)] = DEFAULT_SCHEDULE
    unknown_settings: tuple[str, ...] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _note_unknown(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Not refused, since another program may read them; named by the log, the status line and `/api/health`."""
        return {**found, "unknown_settings": unknown_settings(found, known_settings(cls))}

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the app settings."""
        return (AppSettings(settings_cls),)

    @classmethod
    def load(cls) -> Self:
        """Read and check everything; raise Misconfigured that names every wrong or missing setting."""
        try:
            return cls()  # type: ignore[call-arg]  # everything comes from the app settings
        except ValidationError as error:
            problems = sorted({problem_of(detail, [cls]) for detail in error.errors()})
            raise Misconfigured("settings: " + "; ".join(problems), code="settings", problems=problems) from None
