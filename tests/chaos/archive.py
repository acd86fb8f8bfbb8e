"""What DICOM holds now, read through its API alone."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.asking import JSON, ask, read

PAGE = 100


@dataclass
class Instance:
    """One instance as DICOM has it, and the newest change that the feed tells of it."""

    partition: str
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
    partitions: frozenset = frozenset()  # that ever held anything

    def by(self, *names):
        groups = defaultdict(list)
        for one in self.instances:
            key = tuple(getattr(one, name) for name in names)
            groups[key if len(key) > 1 else key[0]].append(one)
        return dict(groups)


async def read_archive(http, dicom, *, partitioned=False):
    """Every instance of every study, with its newest sequence; of one that is in several partitions, the newest."""
    sequences = {}
    offset = 0
    while True:
        query = {"offset": offset, "limit": PAGE, "includeMetadata": "false"}
        rows = await read(http, f"{dicom}/v2/changefeed", params=query)
        for row in rows:
            uids = (row["studyInstanceUid"], row["seriesInstanceUid"], row["sopInstanceUid"])
            key = (row["partitionName"], *uids)
            sequences[key] = max(row["sequence"], sequences.get(key, 0))
        offset += len(rows)
        if not rows:
            break
    found = {}
    for partition, study in {key[:2] for key in sequences}:
        prefix = f"{dicom}/v2/partitions/{partition}" if partitioned else f"{dicom}/v2"
        answer, _ = await ask(http, "GET", f"{prefix}/studies/{study}/metadata", headers=JSON)
        if answer.status_code == 404:
            continue
        for dataset in answer.raise_for_status().json():
            series, sop = (dataset[tag]["Value"][0] for tag in ("0020000E", "00080018"))
            key = (study, series, sop)
            one = Instance(partition, *key, sequences[partition, *key], dataset)
            found[key] = max(one, found.get(key, one), key=lambda each: each.sequence)
    return Archive(list(found.values()), frozenset(key[0] for key in sequences))
