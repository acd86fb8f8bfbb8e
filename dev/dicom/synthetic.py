"""Made-up CT instances in any number, without files: metadata is written when it is read.

A series is one template with gaps for what differs per instance, so 100,000 instances need little time and memory.
The same seed gives the same UIDs, names and values.
"""

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

from dev.dicom.indexed import indexed
from dev.dicom.model import Attributes, Rendered

SYNTAX = "1.2.840.10008.1.2.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
# pydicom's root for generated UIDs
UID_ROOT = "1.2.826.0.1.3680043.8.498."
# stand-ins for the values that differ inside a series: UID, number, position
GAPS = ("@SOP@", -987654321, -987654.25)


def _uid(rng: random.Random) -> str:
    return UID_ROOT + str(rng.randrange(10**27, 10**32))


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def _name(text: str) -> dict[str, Any]:
    return _element("PN", {"Alphabetic": text})


def _patient(number: int) -> Attributes:
    born = date(1930, 1, 1) + timedelta(days=number * 37 % 29000)
    return {
        "00100010": _name(f"TEST^PATIENT{number:04d}"),
        "00100020": _element("LO", f"TEST{number:06d}"),
        "00100021": _element("LO", "TEST HOSPITAL"),
        "00100030": _element("DA", f"{born:%Y%m%d}"),
        "00100040": _element("CS", "FMO"[number % 3]),
        "00101010": _element("AS", f"{(number * 7) % 90 + 1:03d}Y"),
        "00101030": _element("DS", 40 + number % 60),
    }


def _study(number: int, uid: str) -> Attributes:
    taken = date(2015, 1, 1) + timedelta(days=number * 13 % 3650)
    return {
        "00080020": _element("DA", f"{taken:%Y%m%d}"),
        "00080030": _element("TM", f"{number % 24:02d}{number % 60:02d}00"),
        "00080050": _element("SH", f"ACC{number:08d}"),
        "00080080": _element("LO", "TEST HOSPITAL"),
        "00080090": _name("TEST^REFERRER"),
        "00081030": _element("LO", "CT CHEST TEST"),
        "0020000D": _element("UI", uid),
        "00200010": _element("SH", f"S{number}"),
    }


def _series(number: int, uid: str, frame: str, study: Attributes) -> Attributes:
    return {
        "00080005": _element("CS", "ISO_IR 192"),
        "00080021": study["00080020"],
        "00080031": study["00080030"],
        "00080060": _element("CS", "CT"),
        "00080070": _element("LO", "TEST MANUFACTURER"),
        "00081010": _element("SH", "STATION1"),
        "0008103E": _element("LO", f"AXIAL {number}"),
        "00081050": _name("TEST^PERFORMER"),
        "00081070": _name("TEST^OPERATOR"),
        "00081090": _element("LO", "TEST SCANNER"),
        "00180015": _element("CS", "CHEST"),
        "00180050": _element("DS", 1.25),
        "00180060": _element("DS", 120),
        "00180090": _element("DS", 500),
        "00181000": _element("LO", "0000001"),
        "00181020": _element("LO", "1.0"),
        "00181030": _element("LO", "CHEST ROUTINE"),
        "00181100": _element("DS", 360),
        "00181120": _element("DS", 0),
        "00181130": _element("DS", 150.5),
        "00181140": _element("CS", "CW"),
        "00181151": _element("IS", 200),
        "00181152": _element("IS", 100),
        "00181160": _element("SH", "BODY"),
        "00181170": _element("IS", 24),
        "00181210": _element("SH", "STANDARD"),
        "00185100": _element("CS", "HFS"),
        "0020000E": _element("UI", uid),
        "00200011": _element("IS", number),
        "00200037": _element("DS", 1, 0, 0, 0, 1, 0),
        "00200052": _element("UI", frame),
        "00201040": {"vr": "LO"},
        "00400244": study["00080020"],
        "00400245": study["00080030"],
        "00400253": _element("SH", f"PPS{number}"),
        "00400275": _element("SQ", {"00400007": _element("LO", "CT CHEST"), "00401001": _element("SH", "RP1")}),
    }


def _image() -> Attributes:
    sop, number, position = GAPS
    return {
        "00080008": _element("CS", "ORIGINAL", "PRIMARY", "AXIAL"),
        "00080016": _element("UI", CT_IMAGE),
        "00080018": _element("UI", sop),
        "00200013": _element("IS", number),
        "00200032": _element("DS", -160, -160, position),
        "00201041": _element("DS", position),
        "00280002": _element("US", 1),
        "00280004": _element("CS", "MONOCHROME2"),
        "00280010": _element("US", 512),
        "00280011": _element("US", 512),
        "00280030": _element("DS", 0.625, 0.625),
        "00280100": _element("US", 16),
        "00280101": _element("US", 16),
        "00280102": _element("US", 15),
        "00280103": _element("US", 1),
        "00281050": _element("DS", 40),
        "00281051": _element("DS", 400),
        "00281052": _element("DS", -1024),
        "00281053": _element("DS", 1),
    }


class SyntheticSeries:
    """One series: its UIDs, its searchable attributes and a template for its instances."""

    def __init__(self, study: str, number: int, count: int, shared: Attributes, rng: random.Random) -> None:
        self.study, self.uid, self._count, self._rng = study, _uid(rng), count, rng
        attributes = {**shared, **_series(number, self.uid, _uid(rng), shared), **_image()}
        self.index = indexed(attributes)
        text = json.dumps(dict(sorted(attributes.items())), separators=(",", ":"))
        for gap, mark in zip(GAPS, ("\0s", "\0n", "\0p"), strict=True):
            text = text.replace(str(gap), mark)
        self._template = text

    def instances(self) -> Iterator[tuple[str, Rendered]]:
        for number in range(1, self._count + 1):
            sop = _uid(self._rng)
            yield sop, partial(_render, self._template, sop, number)


def _render(template: str, sop: str, number: int) -> bytes:
    position = str(number * 1.25)
    return template.replace("\0s", sop).replace("\0n", str(number)).replace("\0p", position).encode()


def series_of(request: dict[str, Any]) -> Iterator[SyntheticSeries]:
    """Every series of a request: studies, series_per_study, instances_per_series, patients, seed."""
    rng = random.Random(request.get("seed", 0))
    studies = request.get("studies", 1)
    for study_number in range(1, studies + 1):
        patient = (study_number - 1) % request.get("patients", studies) + 1
        uid = _uid(rng)
        shared = {**_patient(patient), **_study(study_number, uid)}
        for number in range(1, request.get("series_per_study", 1) + 1):
            yield SyntheticSeries(uid, number, request.get("instances_per_series", 1), shared, rng)
