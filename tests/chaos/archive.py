"""What DICOM holds now, read through its API alone."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.asking import JSON, ask, read

PAGE = 100


@dataclass
class Instance:
    """One instance as DICOM has it, and the newest change that the feed tells of it."""

    study: str
    series: str
    sop: str
    sequence: int
    dataset: dict

    def value(self, tag):
        values = self.dataset.get(tag, {}).get("Value") or [None]
        return values[0]

    def text(self, tag):
        value = self.value(tag)
        return str(value).strip() or None if value is not None else None


@dataclass
class Archive:
    """Everything in DICOM now."""

    instances: list = field(default_factory=list)

    def by(self, *names):
        groups = defaultdict(list)
        for one in self.instances:
            key = tuple(getattr(one, name) for name in names)
            groups[key if len(key) > 1 else key[0]].append(one)
        return dict(groups)


async def read_archive(http, dicom):
    """Every instance of every study, with its newest sequence."""
    sequences = {}
    offset = 0
    while True:
        query = {"offset": offset, "limit": PAGE, "includeMetadata": "false"}
        rows = await read(http, f"{dicom}/v2/changefeed", params=query)
        for row in rows:
            key = (row["studyInstanceUid"], row["seriesInstanceUid"], row["sopInstanceUid"])
            sequences[key] = max(row["sequence"], sequences.get(key, 0))
        offset += len(rows)
        if not rows:
            break
    archive = Archive()
    for study in {key[0] for key in sequences}:
        answer, _ = await ask(http, "GET", f"{dicom}/v2/studies/{study}/metadata", headers=JSON)
        if answer.status_code == 404:
            continue
        for dataset in answer.raise_for_status().json():
            series, sop = (dataset[tag]["Value"][0] for tag in ("0020000E", "00080018"))
            archive.instances.append(Instance(study, series, sop, sequences[study, series, sop], dataset))
    return archive
