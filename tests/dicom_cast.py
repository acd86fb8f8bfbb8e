"""Microsoft's own DICOM Cast beside a stack: on the same servers, with the same tables."""

import asyncio
import time

import pytest

from dev.dose_sample import dose_report
from dev.process import Part
from tests.builders import make_instance

needs_dicom_cast = pytest.mark.real("dicom-cast")
WITHIN_S = 200  # it starts in seconds, and a busy machine takes longer
CHECKPOINT = "SyncStateTable"
EQUIPMENT = {"Manufacturer": "ACME", "ManufacturerModelName": "Ray", "DeviceSerialNumber": "SN1", "StationName": "CT01"}


class DicomCast:
    """One container. `fhir` is where it finds the FHIR server, if not where the app does."""

    def __init__(self, stack, log, fhir=None):
        self._stack, self._log = stack, log
        self._env = {
            "DicomWeb__Endpoint": stack.dicom,
            "Fhir__Endpoint": fhir or stack.fhir,
            "TableStore__ConnectionString": stack.azurite["connection_string"],
            "TableStore__TableNamePrefix": stack.name,
            "DicomCastWorker__PollInterval": "00:00:01",
        }
        self._part = None

    def start(self):
        self._part = Part(("dicom-cast",), env=self._env, log=self._log)
        return self

    def stop(self):
        """As the operator stops it: what it has in hand it ends."""
        if self._part is not None:
            self._part.stop()

    def kill(self):
        self._part.kill()

    @property
    def log(self):
        """What it said since it was started for the first time."""
        return self._log.read_text()

    async def sequence(self):
        """How far it is, by the table."""
        rows = await self._stack.rows(CHECKPOINT)
        return rows[0]["SyncedSequence"].value if rows else 0

    async def until_read(self):
        """Until it has read all of the feed itself, by what it says; fails if it ends before."""
        latest = await self._stack.app.dicom.latest_sequence()
        deadline = time.monotonic() + WITHIN_S
        while f", {latest}]" not in self.log:
            assert not self._part.has_ended, f"it ended by itself:\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, "it did not get there"
            await asyncio.sleep(0.1)

    async def until_ended(self):
        """Until it ended by itself."""
        deadline = time.monotonic() + WITHIN_S
        while not self._part.has_ended:
            assert time.monotonic() < deadline, "it runs on"
            await asyncio.sleep(0.1)

    async def catch_up(self):
        """Start it, have it read all of the feed, stop it."""
        self.start()
        await self.until_read()
        self.stop()

    async def end_by_itself(self):
        """Start it, and wait until it is gone."""
        self.start()
        await self.until_ended()
        self.kill()


def without_a_concept_code(study):
    """A dose report with a target region that has no value, as some scanners make them."""
    report = dose_report(make_instance(study, **EQUIPMENT))
    items = (item for event in report.ContentSequence for item in event.get("ContentSequence", []))
    del next(item for item in items if item.ValueType == "CODE").ConceptCodeSequence
    return report
