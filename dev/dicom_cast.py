"""`python -m dev dicom-cast`: Microsoft's own DICOM Cast, on the services that the environment names."""

import os
import sys

from dev.microsoft import running_program
from dev.process import announce, ended

NAME = "dicom-cast"
FHIR = "Fhir__Endpoint"
# one line for each request to the tables otherwise
DEFAULTS = {"Logging__LogLevel__Azure": "Error"}


def command() -> None:
    """Microsoft's DICOM Cast itself, with its own settings from the environment: DicomWeb__Endpoint, Fhir__Endpoint,
    TableStore__ConnectionString, DicomCastWorker__PollInterval and so on. Ends when it ends.
    """
    url = os.environ.get(FHIR, "")
    if not url:
        sys.exit(f"{NAME}: {FHIR} is not set; its settings are read from the environment")
    # without the slash it asks beside the base URL
    env = {**DEFAULTS, **os.environ, FHIR: url if url.endswith("/") else f"{url}/"}
    with running_program(NAME, env=env) as child:
        announce(part=NAME, pid=child.pid)
        status = ended(child)
    sys.exit(f"{NAME}: ended by itself with status {status}")
