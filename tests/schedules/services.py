"""DICOM, FHIR, tables and queue in memory. Every call of theirs is a step that the scheduler decides about.

`step(label, act, writes=)` of a world waits until the scheduler lets the call happen, carries `act` out, and returns
what it returns. Names and versions come from what is written, not from the order of writes, so that schedules which
lead to the same content are seen to do so.
"""

import copy
import json
import marshal
import re
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from shared.errors import VersionConflict
from shared.fhir.bundle import Entry
from shared.fhir.capabilities import WRITTEN, Capabilities
from shared.fhir.client import FhirClient
from shared.fhir.creation import Creation
from shared.fhir.id_key import KEY_REFERENCE, _device
from shared.fhir.ownership import same_content

SPLIT = re.compile(r"(?<!\\)[,]")
STUDY_UID = "urn:dicom:uid"


def digest(value):
    """A short text that two values share only when they are the same."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def copied(value):
    """The same plain data again, sharing nothing that can change."""
    return marshal.loads(marshal.dumps(value))


class Rows:
    """Content by key, with a digest of each, so that the digest of all costs little."""

    def __init__(self):
        self.digests = {}

    def note(self, key, value):
        if value is None:
            self.digests.pop(key, None)
        else:
            self.digests[key] = digest(value)

    def key(self):
        return frozenset(self.digests.items())


class MemoryTable(Rows):
    """`shared.storage.table.Table`. The ETag of a row is the number of its writes."""

    def __init__(self, world, name):
        super().__init__()
        self._world = world
        self.name = name
        self.entities = {}
        self.versions = {}

    async def get(self, partition_key, row_key):
        return await self._step("get", lambda: self._row(partition_key, row_key), writes=False)

    async def save(self, entity, etag):
        return await self._step("save", lambda: self._save(entity, etag))

    async def upsert(self, entity):
        key = (entity["PartitionKey"], entity["RowKey"])
        return await self._step("upsert", lambda: self._put(key, entity))

    async def delete(self, partition_key, row_key, etag=None):
        key = (partition_key, row_key)
        return await self._step("delete", lambda: self._delete(key, etag))

    async def rows(self, partition_key=None):
        found = await self._step(
            "rows",
            lambda: [entity for (one, _), (entity, _) in sorted(self.entities.items()) if partition_key in (None, one)],
            writes=False,
        )
        for entity in found:
            yield dict(entity)

    async def rows_between(self, first, before):
        """Asked once an hour and worker, for rows of DICOM Cast: no step of its own, or schedules would be too many."""
        for (partition, _), (entity, _) in sorted(self.entities.items()):
            if first <= partition < before:
                yield dict(entity)

    async def _step(self, what, act, *, writes=True):
        return await self._world.step(f"{self.name}.{what}", act, writes=writes)

    def _row(self, partition_key, row_key):
        found = self.entities.get((partition_key, row_key))
        return found and (dict(found[0]), found[1])

    def _save(self, entity, etag):
        key = (entity["PartitionKey"], entity["RowKey"])
        if self._world.guards.etag and (self.entities[key][1] if key in self.entities else None) != etag:
            raise VersionConflict("m")
        return self._put(key, entity)

    def _put(self, key, entity):
        self.versions[key] = self.versions.get(key, 0) + 1
        self.entities[key] = (dict(entity), str(self.versions[key]))
        self.note(key, [sorted((name, repr(value)) for name, value in entity.items()), self.versions[key]])
        return self.entities[key][1]

    def _delete(self, key, etag):
        if key in self.entities and etag in (None, self.entities[key][1]):
            del self.entities[key]
            self.note(key, None)


class MemoryQueue:
    """`shared.storage.study_queue.StudyQueue`: texts, each with the moment from which it can be delivered."""

    def __init__(self, world):
        self._world = world
        self.waiting = []  # (visible from, text, deliveries)
        self.poison = []
        self.sent = 0

    async def send(self, change, delay_s=0):
        await self._world.step("queue.send", lambda: self.put(change.to_json(), delay_s))

    def put(self, text, delay_s=0, deliveries=0):
        self.sent += 1
        self.waiting.append((self._world.loop.now_s + delay_s, text, deliveries))
        self.waiting.sort()

    @property
    def next_s(self):
        """When the next message can be delivered."""
        return self.waiting[0][0] if self.waiting else float("inf")

    def key(self):
        return tuple(self.waiting)


class MemoryDicom(Rows):
    """`shared.dicom.client.DicomClient`: metadata by study and instance."""

    def __init__(self, world):
        super().__init__()
        self._world = world
        self.instances = {}

    def put(self, study, key, dataset):
        self.instances[study, key] = dataset
        self.note((study, key), dataset)

    def take_away(self, study, key):
        del self.instances[study, key]
        self.note((study, key), None)

    async def study_metadata(self, study, seen_at):
        del seen_at
        return await self._world.step("dicom.study", lambda: self._of(study) or None, writes=False)

    async def instance_metadata(self, study, key, seen_at, *, is_repeated=True):
        del seen_at, is_repeated
        found = await self._world.step("dicom.instance", lambda: self.instances.get((study, key)), writes=False)
        return None if found is None else [found]

    def _of(self, study):
        return [dataset for (one, _), dataset in self.instances.items() if one == study]


class Late(NamedTuple):
    """A transaction that may be carried out after its sender was told that it failed; `what` stands for it."""

    what: str
    act: object


class MemoryFhir(FhirClient, Rows):
    """A FHIR server under the app's own client. Where clients choose ids it is as Microsoft's: what a transaction of
    several entries creates by update, somebody else having created it since the transaction began, is a conflict; what
    was there before, or is alone in its transaction, is overwritten. Where it chooses ids, conditional creates are
    serialised, as by Medplum's.
    """

    def __init__(self, world, *, client_ids):
        FhirClient.__init__(self, None)
        Rows.__init__(self)
        self._world = world
        self._offers = Capabilities(
            "4.0.1",
            transactions=True,
            update_create=WRITTEN if client_ids else frozenset(),
            conditional_update=frozenset(),
            software="",
        )
        self.resources = {}
        self.versions = {}
        self.commits = {}
        self.histories = {}

    def for_worker(self):
        """The client of one process, which remembers for itself."""
        client = copy.copy(self)
        client._creation = Creation(client)
        return client

    async def capabilities(self):
        return self._offers

    async def _search(self, resource_type, criteria):
        return await self._read(f"fhir.search {resource_type}", lambda: self._found(resource_type, criteria))

    async def read_each(self, references):
        return await self._read("fhir.read", lambda: [self.resources.get(one) for one in references])

    async def history(self, target):
        return await self._read("fhir.history", lambda: list(reversed(self.histories.get(target, []))))

    async def put(self, resource, version):
        target = f"{resource['resourceType']}/{resource['id']}"
        sent = Entry("PUT", target, copied(resource), if_match=f'W/"{version}"' if version else None)
        await self._world.step("fhir.put", lambda: self._commit([sent], {}))

    async def _read(self, label, act):
        return await self._world.step(label, lambda: copied(act()), writes=False)

    async def _transact(self, entries):
        sent = [replace(entry, resource=copied(entry.resource)) for entry in entries]
        new = [entry.url for entry in sent if entry.method == "PUT" and entry.identity]
        begun = None
        if new:
            late = Late(digest([entry.to_json() for entry in sent]), partial(self._commit, sent, {}))
            begin = partial(self._versions, new)
            begun = await self._world.step("fhir.begin", begin, writes=False, late=late)
        commit = partial(self._commit, sent, dict(zip(new, begun or [], strict=True)))
        late = Late(digest([entry.to_json() for entry in sent] + [begun]), commit)
        return copied(await self._world.step("fhir.commit", commit, conflicts=True, late=late))

    def _matches(self, entry):
        return [one["id"] for one in self._found(entry.url, entry.identity.criteria)]

    def _found(self, resource_type, criteria):
        ones = [one for one in self.resources.values() if one["resourceType"] == resource_type]
        return [one for one in ones if all(_says(one, name, value) for name, value in criteria)]

    def _commit(self, entries, begun):
        found = {entry.full_url: self._matches(entry) for entry in entries if entry.if_none_exist}
        for entry in entries:
            if len(found.get(entry.full_url, [])) > 1:
                raise VersionConflict("several matches")
            if entry.if_match and self._world.guards.if_match and self._version(entry.url) != entry.if_match:
                raise VersionConflict("stale")
            if len(entries) > 1 and entry.url in begun and self._version(entry.url) != begun[entry.url]:
                raise VersionConflict("created at the same time")
        references = {}
        for entry in entries:
            if entry.method == "POST":
                matches = found.get(entry.full_url, [])
                references[entry.full_url] = f"{entry.url}/{matches[0] if matches else self._new_id(entry)}"
        answers = [self._carry_out(entry, found.get(entry.full_url, []), references) for entry in entries]
        return {"resourceType": "Bundle", "entry": answers}

    def _version(self, reference):
        one = self.resources.get(reference)
        return f'W/"{one["meta"]["versionId"]}"' if one else None

    def _versions(self, references):
        return [self._version(one) for one in references]

    def _new_id(self, entry):
        name = digest([entry.url, entry.if_none_exist or entry.resource.get("identifier")])
        number = 1
        while f"{entry.url}/{name}-{number}" in self.versions:
            number += 1
        return f"{name}-{number}"

    def _carry_out(self, entry, matches, references):
        if entry.method == "DELETE":
            self._store(entry.url, None)
            return {"response": {"status": "204"}}
        if matches:
            return {"response": {"status": "200"}, "resource": self.resources[f"{entry.url}/{matches[0]}"]}
        reference = references.get(entry.full_url, entry.url)
        text = json.dumps(entry.resource)
        for full_url, one in references.items():
            text = text.replace(f'"{full_url}"', json.dumps(one))
        resource = {**json.loads(text), "id": reference.partition("/")[2]}
        before = self.resources.get(reference)
        if before is None or not same_content(before, resource):
            self._store(reference, resource)
        status = "200" if self.histories[reference][:-1] or before else "201"
        return {"response": {"status": status}, "resource": self.resources[reference]}

    def _store(self, reference, resource):
        self.versions[reference] = self.versions.get(reference, 0) + 1
        if resource is not None:
            family = _family(resource)
            self.commits[family] = self.commits.get(family, 0) + 1
            kept = ("versionId", "lastUpdated")
            meta = {key: value for key, value in resource.get("meta", {}).items() if key not in kept}
            seconds, version = self.commits[family], self.versions[reference]
            stamp = f"2021-03-01T10:{seconds // 60:02}:{seconds % 60:02}+00:00"
            resource["meta"] = {**meta, "versionId": str(version), "lastUpdated": stamp}
            self.resources[reference] = resource
        else:
            self.resources.pop(reference, None)
        self.histories[reference] = [*self.histories.get(reference, []), resource]
        self.note(reference, [digest(one) for one in self.histories[reference]])

    def knows_key(self):
        """Somebody has made the key of ids before."""
        self._store(KEY_REFERENCE, _device(None, "key"))

    def edit(self, resource_type, **elements):
        """Somebody else says something of the first resource of this type."""
        target, stored = next(one for one in sorted(self.resources.items()) if one[1]["resourceType"] == resource_type)
        self._store(target, {**copied(stored), **elements})

    def has(self, resource_type):
        """Whether there is one of this type."""
        return any(one["resourceType"] == resource_type for one in self.resources.values())


def _family(resource):
    """What its versions are counted with: of one study, or of the resource alone."""
    uids = [one.get("value") for one in resource.get("identifier", []) if one.get("system") == STUDY_UID]
    return resource["resourceType"], str(uids[-1] if uids else resource["id"])


def _says(resource, name, value):
    if name == "_id":
        return resource["id"] in value.split(",")
    if name == "identifier":
        return any(_has_identifier(resource, part) for part in SPLIT.split(value))
    if name == "code":
        return any(f"{one['system']}|{one['code']}" == value for one in resource.get("code", {}).get("coding", []))
    if name == "patient":
        return resource.get("subject", {}).get("reference") == value
    if name == "connection-type":
        found = resource.get("connectionType", {})
        return f"{found.get('system')}|{found.get('code')}" == value
    assert name == "name:exact", name
    return resource.get("name") == value.replace("\\", "")


def _has_identifier(resource, value):
    system, _, rest = value.replace("\\", "").partition("|")
    return any(
        (one.get("system") or "") == system and one.get("value") == rest for one in resource.get("identifier", [])
    )
