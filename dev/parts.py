"""Which parts a stack is made of: the stand-ins of this project, or the programs in whose place they stand."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from dev import microsoft


class Host(StrEnum):
    """What runs the app."""

    STAND_IN = "host"
    FUNC = "func"

    @property
    def command(self) -> str:
        return self.value

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "Azure Functions Core Tools" if self is Host.FUNC else "a stand-in for the Functions host"


class Dicom(StrEnum):
    """The DICOM service."""

    STAND_IN = "dicom"
    MICROSOFT = "microsoft"

    @property
    def command(self) -> str:
        return "dicom-server" if self is Dicom.MICROSOFT else self.value

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "Microsoft's DICOM service" if self is Dicom.MICROSOFT else "a stand-in for Microsoft's DICOM service"


class Fhir(StrEnum):
    """The FHIR server."""

    LOCAL = "fhir"
    HAPI = "hapi"
    MICROSOFT = "microsoft"

    @property
    def command(self) -> str:
        return "fhir-server" if self is Fhir.MICROSOFT else self.value

    @property
    def description(self) -> str:
        """What it is, for people."""
        titles = {Fhir.LOCAL: "Medplum's FHIR router, in memory", Fhir.HAPI: "HAPI FHIR"}
        return titles.get(self, "Microsoft's FHIR server")


HostOption = Annotated[Host, typer.Option(help="What runs the app.")]
DicomOption = Annotated[Dicom, typer.Option(help="The DICOM service: the stand-in, or Microsoft's own.")]
FhirOption = Annotated[Fhir, typer.Option(help="The FHIR server.")]


@dataclass(frozen=True)
class Parts:
    """One of each kind; their commands are those of `python -m dev`."""

    host: Host = Host.STAND_IN
    dicom: Dicom = Dicom.STAND_IN
    fhir: Fhir = Fhir.LOCAL

    @property
    def commands(self) -> tuple[str, str, str]:
        return self.host.command, self.dicom.command, self.fhir.command

    @property
    def keep_content(self) -> bool:
        """Whether they can keep content in a folder; the others have it in memory, and all must start together."""
        return self.dicom is Dicom.STAND_IN and self.fhir is Fhir.LOCAL

    def missing(self) -> str:
        """What this machine lacks to run them, in a sentence; empty when it lacks nothing."""
        return microsoft.missing(*self._programs)

    def unpack(self) -> None:
        """Unpack Microsoft's programs if that was not done before: here, where people see that it takes its time."""
        for name in self._programs:
            microsoft.program(name)

    @property
    def _programs(self) -> tuple[str, ...]:
        return tuple(name for name in self.commands if name in microsoft.PROGRAMS)
