"""Which parts a stack is made of: the stand-ins of this project, or the programs in whose place they stand."""

from dataclasses import dataclass
from enum import StrEnum

from dev import microsoft


class Host(StrEnum):
    """What runs the app."""

    STAND_IN = "host"
    FUNC = "func"

    @property
    def command(self) -> str:
        return self.value


class Dicom(StrEnum):
    """The DICOM service."""

    STAND_IN = "dicom"
    MICROSOFT = "microsoft"

    @property
    def command(self) -> str:
        return "dicom-server" if self is Dicom.MICROSOFT else self.value


class Fhir(StrEnum):
    """The FHIR server."""

    LOCAL = "fhir"
    HAPI = "hapi"
    MICROSOFT = "microsoft"

    @property
    def command(self) -> str:
        return "fhir-server" if self is Fhir.MICROSOFT else self.value


@dataclass(frozen=True)
class Parts:
    """One of each kind; their commands are those of `python -m dev`."""

    host: Host = Host.STAND_IN
    dicom: Dicom = Dicom.STAND_IN
    fhir: Fhir = Fhir.LOCAL

    @property
    def commands(self) -> tuple[str, str, str]:
        return self.host.command, self.dicom.command, self.fhir.command

    def missing(self) -> str:
        """What this machine lacks to run them, in a sentence; empty when it lacks nothing."""
        return microsoft.missing(*(name for name in self.commands if name in microsoft.PROGRAMS))
