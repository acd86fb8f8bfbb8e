"""Settings: the only reader of the environment. Names and text forms are those of DICOM Cast.

Everything is checked at once; a wrong setting is reported by its name and what would be right, never by its value.
"""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic.alias_generators import to_pascal
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.errors import Misconfigured
from shared.text_forms import parse_boolean, parse_time_span, parse_url, schedule_for

DEFAULT_SCHEDULE = "0 * * * * *"
DEFAULT_QUEUE_NAME = "study-changes"
SECTIONS = ("dicomweb", "fhir", "dicomcast", "dicomcastworker", "patient", "retryconfiguration", "tablestore")
ZONE_OFFSET = re.compile(r"[+-]((0\d|1[0-3]):?[0-5]\d|14:?00)", re.ASCII)


TimeSpan = Annotated[
    timedelta, BeforeValidator(lambda value: parse_time_span(value) if isinstance(value, str) else value)
]
Boolean = Annotated[bool, BeforeValidator(parse_boolean)]
Url = Annotated[str, BeforeValidator(parse_url)]


def _not_in_this_version(value: str | None) -> str | None:
    if value:
        raise ValueError("is not read by this version: give the settings as app settings and remove it")
    return value


class Section(BaseModel):
    """A group of settings; its names are PascalCase, in any case."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_pascal(name).lower())),
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class Authentication(Section):
    """How the app proves who it is to one service."""

    enabled: Boolean = False
    authentication_type: str = ""


class DicomWeb(Section):
    """The DICOM service: `endpoint` is written into FHIR, `private_endpoint` is connected to where it is set."""

    endpoint: Url
    private_endpoint: Url | None = None
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


class Fhir(Section):
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
        if value is not None and schedule_for(value) is None and not Triggers.named_schedule():
            raise ValueError(
                "cannot be a timer schedule; set SYNC_SCHEDULE to an NCRONTAB such as 0 */5 * * * * instead"
            )
        return value


class Demographics(StrEnum):
    """Who is the master of name, gender and birth date."""

    SYNC = "sync"
    CREATE_ONLY = "createonly"


class PatientSettings(Section):
    """How a Patient is identified and whether its demographics follow DICOM."""

    patient_system_id: str = ""
    is_issuer_id_used: Boolean = False
    demographics: Annotated[Demographics, BeforeValidator(lambda value: str(value).strip().lower())] = Demographics.SYNC


class RetryConfiguration(Section):
    """How long a transient failure is retried before the study is parked."""

    total_retry_duration: TimeSpan = timedelta(days=7)


class KeyVault(Section):
    """The vault that settings are read from too; not in this version, and not silently either."""

    endpoint: Annotated[str | None, AfterValidator(_not_in_this_version)] = None


class TableStore(Section):
    """Where state and error tables live, when not in the app's own storage account."""

    table_name_prefix: Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9]{0,30})?$")] = ""
    connection_string: SecretStr | None = None


class AppSettings(PydanticBaseSettingsSource):
    """App settings as one nested mapping: names in any case, levels parted by `__` or `:`; empty means not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the source answers with everything at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Sections by their lower-case names. A variable that happens to be named like a section is not one."""
        nested: dict[str, Any] = {}
        for name, value in sorted(os.environ.items(), key=lambda item: -len(item[0])):
            *sections, last = re.split(r"__|:", name.lower())
            level = nested
            for section in sections:
                level = level.setdefault(section, {})
            if value.strip():
                level.setdefault(last, value)
        for section in (*SECTIONS, "keyvault"):
            if isinstance(nested.get(section), str):
                del nested[section]
        for section in ("dicomweb", "fhir"):  # their absence is reported setting by setting
            nested.setdefault(section, {})
        # the how-to of DICOM Cast names its endpoint secret DICOM--Endpoint
        if isinstance(dicom := nested.get("dicom"), dict) and "endpoint" in dicom:
            nested["dicomweb"].setdefault("endpoint", dicom["endpoint"])
        return nested


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
    retry_configuration: RetryConfiguration = RetryConfiguration()
    table_store: TableStore = TableStore()
    key_vault: KeyVault = KeyVault()
    study_queue_name: Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,54}$")] = DEFAULT_QUEUE_NAME

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
            problems = sorted({_problem(detail) for detail in error.errors()})
            raise Misconfigured("settings: " + "; ".join(problems), code="settings", problems=problems) from None


class Triggers(NamedTuple):
    """What the trigger declarations need when the module is indexed, before anything is checked."""

    schedule: str
    queue_name: str

    @classmethod
    def load(cls) -> Self:
        """SYNC_SCHEDULE, else the poll interval of DICOM Cast as a schedule, else once a minute; the queue's name."""
        settings = {name.lower().replace(":", "__"): value.strip() for name, value in os.environ.items()}
        schedule = cls.named_schedule()
        if not schedule and (interval := settings.get("dicomcastworker__pollinterval")):
            try:
                schedule = schedule_for(parse_time_span(interval))
            except ValueError:  # reported by name when the settings are loaded
                schedule = None
        return cls(schedule or DEFAULT_SCHEDULE, settings.get("study_queue_name") or DEFAULT_QUEUE_NAME)

    @staticmethod
    def named_schedule() -> str | None:
        """SYNC_SCHEDULE, if it is set."""
        return next((value.strip() for name, value in os.environ.items() if name.lower() == "sync_schedule"), None)


class StorageAccount(Section):
    """The app's storage account, by connection string or by identity, under the names of the Functions host."""

    connection_string: SecretStr | None = None
    account_name: str | None = None
    queue_service_uri: Url | None = None
    table_service_uri: Url | None = None
    client_id: str | None = None

    @classmethod
    def load(cls) -> Self:
        """Read apart from Settings: work can be set aside in the queue even while the other settings are wrong."""
        by_name = {name.lower(): value.strip() for name, value in os.environ.items()}
        if connection_string := by_name.get("azurewebjobsstorage"):
            return cls(connection_string=SecretStr(connection_string))
        section = AppSettings(Settings)().get("azurewebjobsstorage", {})
        try:
            account = cls.model_validate(section)
        except ValidationError as error:
            problems = sorted({f"AzureWebJobsStorage__{_problem(detail)}" for detail in error.errors()})
            raise Misconfigured("settings: " + "; ".join(problems), code="settings", problems=problems) from None
        if (name := account.account_name) is not None:
            urls = {f"{kind}_service_uri": f"https://{name}.{kind}.core.windows.net" for kind in ("queue", "table")}
            account = account.model_copy(update=urls)
        if not account.queue_service_uri or not account.table_service_uri:
            problem = "AzureWebJobsStorage must be set: a connection string, or __queueServiceUri and __tableServiceUri"
            raise Misconfigured(f"settings: {problem}", code="settings", problems=[problem])
        return account


def _problem(detail: ErrorDetails) -> str:
    sections: list[type[BaseModel]] = [*_sections(Settings), StorageAccount]
    names = {to_pascal(name).lower(): to_pascal(name) for section in sections for name in section.model_fields}
    path = [str(part) for part in detail["loc"]]
    name = "__".join(names.get(part, part) for part in path)
    name = "STUDY_QUEUE_NAME" if name.lower().replace("_", "") == "studyqueuename" else name
    if detail["type"] == "missing":
        return f"{name} is missing"
    return f"{name} {detail['msg'].removeprefix('Value error, ')}"


def _sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _sections(field.annotation)
