"""`python -m dev demo`: the whole flow before one's eyes: store studies, see them in FHIR, change one, delete one.

Everything runs on free ports with its content in memory, and is gone at the end.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dev.dose_sample import write_dose_report
from dev.load import files_below, store_with_bar
from dev.parts import Dicom, DicomOption, Fhir, FhirOption, Host, HostOption, Parts
from dev.process import exit_with_parent, terminate_on_sigterm
from dev.samples import ct_study, pydicom_files, write_ct_study
from dev.stack import Content, Ports, Stack, StackError, View, running_stack

LOOK_EVERY_S = 0.2
SHOWN_ITEMS = 2  # of every list in the printed resource
SHOWN_UID = 12
SHOWN_ROWS = 50  # more studies than these are shown only when they are not in step
# Failure Reason (0008,1197)
REFUSED = {"272": "it cannot process: 272", "43264": "as not valid: 43264"}
NEW_VALUES = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "DEMO^PATIENT^RENAMED"}]},
    "00100020": {"vr": "LO", "Value": ["DEMO-CHANGED"]},
    "00081030": {"vr": "LO", "Value": ["Description changed by the demo"]},
}


class Demo:
    """The steps of the demo on one running stack."""

    def __init__(self, stack: Stack, console: Console, limit_s: float) -> None:
        self._stack = stack
        self._console = console
        self._limit_s = limit_s
        self._view = View(stack)
        self._dicom = httpx.Client(base_url=stack.dicom, timeout=60, trust_env=False)

    def close(self) -> None:
        self._view.close()
        self._dicom.close()

    def run(self, files: list[Path]) -> None:
        """All steps; raises StackError when one does not come out as it should."""
        before = self._view.fhir_requests()
        counts = store_with_bar(files, self._stack.dicom, self._console)
        refused = ", ".join(f"{number} {REFUSED.get(code, code)}" for code, number in counts.refused.items())
        self._say(
            f"stored {counts.stored} instances; {counts.not_dicom} files are not DICOM, {counts.already_there} were "
            f"already there, the service refused {counts.refused.total()}" + (f" ({refused})" if refused else "")
        )
        if not counts.stored:
            raise StackError("no instance was stored: there is nothing to show")
        seconds = self._until_in_step()
        after = self._view.fhir_requests()
        written = self._compare(
            f" with {after - before} FHIR requests" if after and before is not None else "", seconds
        )
        # the study with most instances is worth looking at, the smallest one is no loss
        by_size = sorted(written, key=lambda study: written[study].instances)
        self._title("One ImagingStudy, lists shortened")
        self._console.print_json(data=shortened(self._view.imaging_study(by_size[-1])))
        dose = self._view.dose_summary(by_size[-1])
        if dose is not None:
            self._title("Its radiation dose Observation, lists shortened")
            self._console.print_json(data=shortened(dose))
        self._change(by_size[-1])
        if len(by_size) > 1:
            self._delete(by_size[0])
        self._console.print("\nEverything of this demo is gone now. [bold]make up[/] starts a stack that stays.")

    def _until_in_step(self) -> float:
        """Wait until every change has been enqueued and every message worked; the seconds it took."""
        started = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        latest, most_waiting = self._view.feed_latest(), 0
        with Progress(*columns, console=self._console) as progress:
            enqueued = progress.add_task("changes enqueued", total=latest)
            worked = progress.add_task("studies worked", total=None)
            while True:
                # in this order: once the checkpoint is there, all messages are in the queue
                synced, waiting = self._view.synced(), self._view.waiting()
                most_waiting = max(most_waiting, waiting)
                progress.update(enqueued, completed=synced)
                progress.update(worked, total=most_waiting or None, completed=most_waiting - waiting)
                if synced >= latest and not waiting:
                    return time.monotonic() - started
                self._stack.check()
                if time.monotonic() - started > self._limit_s:
                    raise StackError(self._late(synced, latest, waiting))
                time.sleep(LOOK_EVERY_S)

    def _late(self, synced: int, latest: int, waiting: int) -> str:
        poison = self._view.waiting("-poison")
        return (
            f"FHIR is not in step after {self._limit_s:.0f} s: {synced} of {latest} changes are enqueued, "
            f"{waiting} messages wait, {poison} are poison; see {self._stack.logs / 'host.log'}"
        )

    def _compare(self, requests: str, seconds: float) -> dict[str, Content]:
        """Show and return the studies that are in FHIR; raises StackError when one differs without an explanation."""
        self._title("Studies")
        table = Table("study", "modality", "series", "instances", "in FHIR")
        table.add_column("state", overflow="fold")
        written, differing = {}, []
        for study in self._view.stored_studies():
            content = self._view.in_dicom(study)
            resource = self._view.imaging_study(study)
            count = _instances(resource)
            state = self._state(study, content, count)
            if state == "differs":
                differing.append(study)
            elif content and resource:
                written[study] = content
            shown = content or Content((), 0, 0)
            if state == "in step" and table.row_count >= SHOWN_ROWS:
                continue
            numbers = (str(shown.series), str(shown.instances), str(count))
            table.add_row(_short(study), ", ".join(shown.modalities), *numbers, state)
        self._console.print(table)
        series, instances = (sum(getattr(each, name) for each in written.values()) for name in ("series", "instances"))
        self._say(
            f"{len(written)} studies, {series} series, {instances} instances in FHIR{requests}; "
            f"in step {seconds:.1f} s after the last upload"
        )
        if differing or not written:
            raise StackError(f"FHIR differs from DICOM for {len(differing)} studies; see {self._stack.logs}/host.log")
        return written

    def _state(self, study: str, content: Content | None, in_fhir: int) -> str:
        if (content.instances if content else 0) == in_fhir:
            return "in step"
        recorded = self._view.recorded(study)
        return "recorded: " + "; ".join(recorded) if recorded else "differs"

    def _change(self, study: str) -> None:
        self._title("A change: $bulkUpdate of patient name, patient id and study description")
        before = self._shown(study)
        body = {"studyInstanceUids": [study], "changeDataset": NEW_VALUES}
        answer = self._dicom.post("/v2/studies/$bulkUpdate", json=body)
        if answer.status_code != 202:
            raise StackError(f"the DICOM service answered $bulkUpdate with {answer.status_code}")
        self._until_updated(answer.json()["href"])
        seconds = self._until_in_step()
        self._before_and_after(before, self._shown(study), seconds)

    def _until_updated(self, operation: str) -> None:
        deadline = time.monotonic() + self._limit_s
        while (answer := self._dicom.get(operation)).status_code == 202:
            if time.monotonic() > deadline:
                raise StackError("the bulk update does not end")
            time.sleep(LOOK_EVERY_S)
        status = str(answer.raise_for_status().json().get("status"))
        if status.lower() not in {"succeeded", "completed"}:
            raise StackError(f"the bulk update ended as {status}")

    def _delete(self, study: str) -> None:
        self._title(f"A delete: study {_short(study)}")
        before = self._shown(study)
        self._dicom.delete(f"/v2/studies/{study}").raise_for_status()
        seconds = self._until_in_step()
        after = self._shown(study)
        self._before_and_after(before, after, seconds)
        if after["ImagingStudy"] != "none":
            raise StackError("the deleted study is still in FHIR")

    def _shown(self, study: str) -> dict[str, str]:
        """What of a study and its patient is worth comparing."""
        resource = self._view.imaging_study(study)
        if resource is None:
            return {"ImagingStudy": "none"}
        patient = self._view.fhir(resource["subject"]["reference"])
        names = patient.get("name") or [{}]
        return {
            "ImagingStudy": _short(resource["id"]),
            ".meta.versionId": _short(resource["meta"]["versionId"]),
            ".description": resource.get("description", ""),
            ".numberOfInstances": str(resource.get("numberOfInstances")),
            ".subject": "Patient/" + _short(patient["id"]),
            "Patient.identifier": ", ".join(each.get("value", "") for each in patient.get("identifier", [])),
            "Patient.name": " ".join([*names[0].get("given", []), names[0].get("family", "")]),
        }

    def _before_and_after(self, before: dict[str, str], after: dict[str, str], seconds: float) -> None:
        table = Table("in FHIR", "before", "after")
        for name, value in before.items():
            table.add_row(name, value, after.get(name, ""), style="" if value == after.get(name) else "bold")
        self._console.print(table)
        self._say(f"in step after {seconds:.1f} s")

    def _title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/]")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _short(text: str) -> str:
    """The end of a long identifier, enough to tell it from the others."""
    return "…" + text[-SHOWN_UID:] if len(text) > SHOWN_UID else text


def _instances(resource: dict[str, Any] | None) -> int:
    return sum(len(series.get("instance", [])) for series in (resource or {}).get("series", []))


def shortened(value: Any) -> Any:
    """JSON with long lists cut, so that a resource fits on a screen."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if not isinstance(value, list):
        return value
    rest = len(value) - SHOWN_ITEMS
    shown = [shortened(each) for each in value[:SHOWN_ITEMS]]
    return [*shown, f"… and {rest} more"] if rest > 0 else shown


def command(
    files: Annotated[Path | None, typer.Option(exists=True, help="Show these DICOM files instead of samples.")] = None,
    limit_s: Annotated[float, typer.Option(help="Give up when FHIR is not in step after so many seconds.")] = 300,
    *,
    host: HostOption = Host.STAND_IN,
    dicom: DicomOption = Dicom.STAND_IN,
    fhir: FhirOption = Fhir.LOCAL,
) -> None:
    """Start everything, store studies, watch them appear in FHIR, change one and delete one."""
    terminate_on_sigterm()
    exit_with_parent()
    console = Console(highlight=False)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            shown = files_below([files]) if files else [*pydicom_files(), *_made_up_study(Path(folder))]
            console.print("starting storage emulator, DICOM service, FHIR server and Functions host")
            with running_stack(Ports(), made_of=Parts(host, dicom, fhir)) as stack:
                console.print(stack.what_runs())
                demo = Demo(stack, console, limit_s)
                try:
                    demo.run(shown)
                finally:
                    demo.close()
    except StackError as error:
        sys.exit(f"demo: {error}")
    except httpx.HTTPError as error:
        sys.exit(f"demo: a part of the stack answered wrongly: {error}")


def _made_up_study(folder: Path) -> list[Path]:
    """A CT study of several series, with its dose report."""
    return [*write_ct_study(folder), write_dose_report(folder, next(ct_study()))]
