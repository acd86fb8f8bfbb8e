"""Create a resource under an id that is made of its identity, where the server lets clients choose ids.

Two writers of one identity then write one resource, however they search. No server has an update that only creates
(docs/stand-ins.md, "Creation by update"), so a writer that comes late can overwrite what the first one wrote. It is
told so, puts back what was there, and its study is read again.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from shared.errors import Overwritten, Rejected, VersionConflict
from shared.fhir.bundle import Answer, Entry, bundles, if_match, resolved
from shared.fhir.capabilities import Capabilities
from shared.fhir.id_key import DEVICE, KEY_REFERENCE, IdKey, id_of, key_in
from shared.fhir.identifiers import Identity, Resource

MOST_HIDDEN = 1000
MOST_TAKEN = 10  # ids of one identity that hold resources of others


class Server(Protocol):
    """The requests to the FHIR server that are needed here."""

    async def capabilities(self) -> Capabilities:
        """What the server offers."""

    async def read_each(self, references: Sequence[str]) -> list[Resource | None]:
        """What is under each `Type/id`; None where nothing is, or was deleted."""

    async def history(self, target: str) -> list[Resource | None]:
        """The versions of a `Type/id`, newest first, a deletion as None."""

    async def put(self, resource: Resource, version: str) -> None:
        """Update or create it; `version` is the one that must be there, empty for any."""

    async def write(self, entries: Sequence[Entry]) -> list[Answer]:
        """Carry out one bundle."""


class Creation:
    """Decides how resources are created: the one place that does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._key = IdKey(server.history, server.read_each, server.put)
        # `Type/id` of what is there, though a search did not find it
        self._hidden: dict[Identity, str] = {}

    async def prepared(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries as they are sent: creations by update where the server takes them, what refers to these too.

        Raises VersionConflict where a resource exists by now.
        """
        if not any(entry.identity for entry in entries):
            return list(entries)
        types = (await self._server.capabilities()).update_create
        new = [entry for entry in entries if entry.identity and entry.resource_type in types]
        if not new or DEVICE not in types:
            return list(entries)
        targets = await self._free_ids(new)
        references = {full_url: target for full_url, target in targets.items() if full_url}
        sent = [resolved(entry, references) for entry in entries]
        return [entry.under(targets[entry.full_url]) if entry.full_url in targets else entry for entry in sent]

    async def _free_ids(self, new: Sequence[Entry]) -> dict[str | None, str]:
        """`Type/id` by full URL for what is to be created.

        An id under which there is a resource of another identity was taken from ours (a person moved the identifier,
        say): the next one is ours. Where too many are taken, ours is created by a condition.
        """
        key = await self._key.get()
        targets: dict[str | None, str] = {}
        for number in range(MOST_TAKEN):
            left = [entry for entry in new if entry.full_url not in targets]
            if not left:
                break
            ids = [id_of(key, entry.identity, number) for entry in left if entry.identity]
            (device, *found) = await self._server.read_each([KEY_REFERENCE, *ids])
            if key_in(device) != key:
                self._key.forget()
                raise VersionConflict("the key of this app's resource ids has changed")
            for entry, target, there in zip(left, ids, found, strict=True):
                if there is None:
                    targets[entry.full_url] = target
                elif entry.identity and entry.identity.matches(there):
                    self._hide(entry.identity, target)
                    raise VersionConflict(f"the {entry.resource_type} exists by now")
        return targets

    def _hide(self, identity: Identity, target: str) -> None:
        if len(self._hidden) >= MOST_HIDDEN:
            self._hidden.clear()
        self._hidden[identity] = target

    async def with_hidden(self, identities: Sequence[Identity], hits: list[Resource]) -> list[Resource]:
        """What a search for these found, and what it did not find though it was there a moment ago."""
        known = [(one, self._hidden.pop(one)) for one in identities if one in self._hidden]
        missing = [(one, target) for one, target in known if not any(map(one.matches, hits))]
        if not missing:
            return hits
        found = await self._server.read_each([target for _, target in missing])
        return hits + [there for (one, _), there in zip(missing, found, strict=True) if there and one.matches(there)]

    async def check_first(self, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """Raise Overwritten unless all that one bundle created was new; what it overwrote is put back before.

        An id whose resource was deleted is free, though servers answer as if something was overwritten. Nothing can be
        put back where somebody has written since, or the server keeps no versions; and where just the same was there,
        servers make no version, and what is put back is the one before. So the study has to be looked at in any case.
        """
        late = [(entry, answer) for entry, answer in zip(entries, answers, strict=True) if answer.is_late]
        before = [await self._before(answer) for _, answer in late]
        undone = [
            Entry("PUT", entry.url, there, if_match=if_match(answer.version))
            for (entry, answer), versions in zip(late, before, strict=True)
            for there in versions
            if there is not None
        ]
        for bundle in bundles(undone):
            with suppress(VersionConflict, Rejected):
                await self._server.write(bundle)
        for (entry, _), versions in zip(late, before, strict=True):
            if versions != [None]:
                raise Overwritten(f"somebody else created the {entry.resource_type} first")

    async def _before(self, answer: Answer) -> list[Resource | None]:
        """The version before the one that an answer tells, None for a deletion; empty where there is none."""
        versions = await self._server.history(answer.reference)
        for place, one in enumerate(versions[:-1]):
            if one is not None and one.get("meta", {}).get("versionId") == answer.version:
                return [versions[place + 1]]
        return []
