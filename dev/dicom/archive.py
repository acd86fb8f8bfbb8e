"""The content of the service in memory, changed only by `apply`.

Every change is a plain JSON object, so that a journal of them rebuilds the same content. One change is one transaction
of the service: its rows appear in the feed together (dicom-server: UpdateInstanceStatusV54, DeleteInstanceV6,
EndUpdateInstanceV54).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dev.dicom import synthetic
from dev.dicom.feed import Feed, Row
from dev.dicom.model import DEFAULT_PARTITION, Attributes, Instance, Key, Series, Study, Version
from dev.dicom.readback import is_damaged

Change = dict[str, Any]


class Archive:
    """Studies, partitions and the change feed."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.studies: dict[tuple[str, str], Study] = {}
        self.partitions: dict[str, str] = {}
        self.creating: set[Key] = set()
        self.watermark = 0

    def apply(self, change: Change) -> Any:
        """Carry out one change: `op` names it, `at` is the time of the transaction."""
        at = datetime.fromisoformat(change["at"])
        match change["op"]:
            case "partition":
                self.partitions[change["name"]] = change["at"]
            case "store":
                self._store(change, at)
            case "delete":
                self._delete([Key(*key) for key in change["keys"]], at)
            case "update":
                self._update(change["versions"], at)
            case "bulk":
                return self._bulk(change, at)
            case "feed":
                self._shape(change)
        return None

    def next_watermark(self) -> int:
        """A number for the next version; unused ones are lost, as in the service."""
        self.watermark += 1
        return self.watermark

    def find(self, key: Key) -> Instance | None:
        study = self.studies.get((key.partition, key.study))
        series = study.series.get(key.series) if study else None
        return series.instances.get(key.sop) if series else None

    def select(self, partition: str, study: str, series: str | None = None, sop: str | None = None) -> list[Instance]:
        """The instances of a study, of a series, or the one instance; empty when there is none."""
        held = self.studies.get((partition, study))
        if held is None:
            return []
        if series is None:
            return held.instances()
        instances = held.series[series].instances if series in held.series else {}
        if sop is None:
            return list(instances.values())
        return [instances[sop]] if sop in instances else []

    def state(self, row: Row) -> tuple[str, Instance | None]:
        """The state of a row now, and the instance it is about if that one is alive."""
        instance = self.find(row.key)
        if instance is None:
            return "Deleted", None
        return ("Current" if instance.current.watermark == row.watermark else "Replaced"), instance

    def _put(self, key: Key, version: Version, index: Attributes) -> None:
        study = self.studies.setdefault((key.partition, key.study), Study(key.partition, key.study))
        series = study.series.setdefault(key.series, Series(key.series))
        series.instances[key.sop] = Instance(key, version, version, index)
        _merge(study.index, index)
        _merge(series.index, index)
        self.watermark = max(self.watermark, version.watermark)

    def _store(self, change: Change, at: datetime) -> None:
        key = Key(*change["key"])
        version = _version(change)
        self._put(key, version, change["index"])
        self.feed.commit("Create", [(key, version.watermark)], at)

    def _delete(self, keys: Sequence[Key], at: datetime) -> None:
        removed = [(key, self._remove(key)) for key in keys]
        self.feed.commit("Delete", removed, at)

    def _remove(self, key: Key) -> int:
        study = self.studies[key.partition, key.study]
        series = study.series[key.series]
        instance = series.instances.pop(key.sop)
        if not series.instances:
            del study.series[key.series]
        if not study.series:
            del self.studies[key.partition, key.study]
        return instance.current.watermark

    def _update(self, versions: Sequence[Change], at: datetime) -> None:
        rows = []
        for item in versions:
            instance = self.find(Key(*item["key"]))
            if instance is None:
                continue
            instance.current = _version(item)
            instance.index = item["index"]
            study = self.studies[instance.key.partition, instance.key.study]
            _merge(study.index, instance.index)
            self.watermark = max(self.watermark, item["watermark"])
            rows.append((instance.key, item["watermark"]))
        self.feed.commit("Update", rows, at)

    def _bulk(self, change: Change, at: datetime) -> list[str]:
        studies = []
        for series in synthetic.series_of(change):
            rows = []
            for sop, content in series.instances():
                key = Key(DEFAULT_PARTITION, series.study, series.uid, sop)
                if self.find(key):  # the same seed was asked for before
                    continue
                version = Version(self.next_watermark(), content, synthetic.SYNTAX)
                self._put(key, version, series.index)
                rows.append((key, version.watermark))
            self.feed.commit("Create", rows, at)
            studies.append(series.study)
        return list(dict.fromkeys(studies))

    def _shape(self, change: Change) -> None:
        if change.get("reset_sequence"):
            self.feed = Feed()
        self.feed.skip(change.get("skip", 0))
        self.feed.hold(change.get("hold", 0))
        if release := change.get("release"):
            self.feed.release(None if release is True else release)


def _version(change: Change) -> Version:
    content = change["metadata"]
    return Version(change["watermark"], content.encode(), change["syntax"], is_damaged(json.loads(content)))


def _merge(held: Attributes, new: Attributes) -> None:
    """The newest value of each attribute wins; an empty one never overwrites (dicom-server: AddInstanceV6.sql)."""
    held.update((tag, element) for tag, element in new.items() if "Value" in element)
