"""Settings that are read apart from the others: what the trigger declarations need at import, and the storage account,
under the names of the Functions host. Neither can come from a vault.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import SecretStr, ValidationError

from shared.errors import Misconfigured
from shared.settings.section import Section, Url, problem_of
from shared.settings.source import app_settings, nested
from shared.text_forms import check_schedule, parse_time_span, schedule_for

DEFAULT_SCHEDULE = "0 * * * * *"
DEFAULT_QUEUE_NAME = "study-changes"
SCHEDULE, QUEUE_NAME = ("sync_schedule",), ("study_queue_name",)
POLL_INTERVAL = ("dicomcastworker", "pollinterval")
STORAGE = "azurewebjobsstorage"
HOST_JSON = Path(__file__).resolve().parents[2] / "host.json"
FUNCTION_TIMEOUT = ("azurefunctionsjobhost", "functiontimeout")  # as an app setting it wins over host.json
DEFAULT_FUNCTION_TIMEOUT = timedelta(minutes=10)


class Triggers(NamedTuple):
    """What the trigger declarations need when the module is indexed, before anything is checked."""

    schedule: str
    queue_name: str

    @classmethod
    def load(cls) -> Self:
        """SYNC_SCHEDULE, else the poll interval of DICOM Cast as a schedule, else once a minute; the queue's name.

        A schedule that the host could not read is reported by its name when the settings are loaded. The timer runs
        once a minute then, or nothing would be in the log but the host's own line.
        """
        found = app_settings()
        schedule = found.get(SCHEDULE)
        try:
            if schedule:
                check_schedule(schedule)
            elif interval := found.get(POLL_INTERVAL):
                schedule = schedule_for(parse_time_span(interval))
        except ValueError:
            schedule = None
        return cls(schedule or DEFAULT_SCHEDULE, found.get(QUEUE_NAME) or DEFAULT_QUEUE_NAME)


class Limits(NamedTuple):
    """How long one message may take, in seconds, well inside the host's own limit: after that the host ends the worker
    process, and with it everything that is under way there.

    message_s: half of it; what is cut off has time to be set aside. process_s: three quarters, for a process that works
    on one message alone: it sets itself aside after the half, so one that is still there cannot. start_s: a fifth, for
    the start of such a process.
    """

    message_s: float
    process_s: float
    start_s: float

    @classmethod
    def load(cls) -> Self:
        """By functionTimeout, of the app settings or of host.json; ten minutes where there is no such limit."""
        try:
            said = json.loads(HOST_JSON.read_text()).get("functionTimeout", "")
        except (OSError, ValueError, AttributeError):
            said = ""
        try:
            timeout = parse_time_span(str(app_settings().get(FUNCTION_TIMEOUT) or said))
        except ValueError:  # -1: no limit
            timeout = DEFAULT_FUNCTION_TIMEOUT
        whole_s = (timeout or DEFAULT_FUNCTION_TIMEOUT).total_seconds()
        return cls(whole_s / 2, whole_s * 3 / 4, whole_s / 5)


class StorageAccount(Section):
    """The app's storage account, by connection string or by identity."""

    connection_string: SecretStr | None = None
    account_name: str | None = None
    queue_service_uri: Url | None = None
    table_service_uri: Url | None = None
    client_id: str | None = None

    @classmethod
    def load(cls) -> Self:
        """Read apart from Settings: work can be set aside in the queue even while the other settings are wrong."""
        found = app_settings()
        if connection_string := found.get((STORAGE,)):
            return cls(connection_string=SecretStr(connection_string))
        try:
            account = cls.model_validate(nested(found).get(STORAGE, {}))
        except ValidationError as error:
            problems = sorted({f"AzureWebJobsStorage__{problem_of(detail, [cls])}" for detail in error.errors()})
            raise Misconfigured("settings: " + "; ".join(problems), code="settings", problems=problems) from None
        if (name := account.account_name) is not None:
            urls = {f"{kind}_service_uri": f"https://{name}.{kind}.core.windows.net" for kind in ("queue", "table")}
            account = account.model_copy(update=urls)
        if not account.queue_service_uri or not account.table_service_uri:
            problem = "AzureWebJobsStorage must be set: a connection string, or __queueServiceUri and __tableServiceUri"
            raise Misconfigured(f"settings: {problem}", code="settings", problems=[problem])
        return account
