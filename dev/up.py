"""`python -m dev up`: the whole stack in the foreground, for people who want to look and try."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dev.parts import Dicom, DicomOption, Fhir, FhirOption, Host, HostOption, Parts
from dev.process import announce, exit_with_parent, terminate_on_sigterm
from dev.stack import LOGS, STACK, Ports, Stack, StackError, running_stack


def command(
    *,
    host: HostOption = Host.STAND_IN,
    dicom: DicomOption = Dicom.STAND_IN,
    fhir: FhirOption = Fhir.LOCAL,
    data: Annotated[Path, typer.Option(help="Folder that keeps what was stored; the stand-ins alone can.")] = STACK
    / "data",
    blob_port: Annotated[
        int, typer.Option(help="Port of the blob service; 0 picks a free one, here and below.")
    ] = 10000,
    queue_port: Annotated[int, typer.Option(help="Port of the queue service.")] = 10001,
    table_port: Annotated[int, typer.Option(help="Port of the table service.")] = 10002,
    dicom_port: Annotated[int, typer.Option(help="Port of the DICOM service.")] = 8042,
    fhir_port: Annotated[int, typer.Option(help="Port of the FHIR server.")] = 8090,
    host_port: Annotated[int, typer.Option(help="Port of the Functions host.")] = 7071,
) -> None:
    """Start the local stack and leave it running until Ctrl-C."""
    terminate_on_sigterm()
    exit_with_parent()
    ports = Ports(blob_port, queue_port, table_port, dicom_port, fhir_port, host_port)
    made_of = Parts(host, dicom, fhir)
    kept = data if made_of.keep_content else None
    try:
        with running_stack(ports, kept, made_of=made_of) as stack:
            Console(stderr=True, highlight=False, soft_wrap=True).print(_how_to(stack, kept), markup=False)
            announce(
                part="up",
                dicom=stack.dicom,
                fhir=stack.fhir,
                host=stack.host,
                connection_string=stack.connection_string,
                logs=str(LOGS),
            )
            stack.wait()
    except KeyboardInterrupt:
        return
    except StackError as error:
        sys.exit(f"up: {error}")


def _how_to(stack: Stack, data: Path | None) -> str:
    kept = f"stays in {data}" if data else "is in memory, and gone then"
    return f"""
The stack is running; Ctrl-C stops it. What is stored {kept}.

{stack.what_runs()}

  store studies    .venv/bin/python -m dev load FOLDER --dicom {stack.dicom}
  look at FHIR     curl -s '{stack.fhir}/ImagingStudy?_count=5'
                   curl -s '{stack.fhir}/Patient?_count=5'
                   curl -s '{stack.fhir}/ImagingStudy?identifier=urn:dicom:uid|urn:oid:STUDY-INSTANCE-UID'
  delete a study   curl -s -X DELETE {stack.dicom}/v2/studies/STUDY-INSTANCE-UID
  change feed      curl -s '{stack.dicom}/v2/changefeed?includeMetadata=false'
  health           curl -s {stack.host}/api/health
  logs             tail -f {LOGS}/host.log
"""
