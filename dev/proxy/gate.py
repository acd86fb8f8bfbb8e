"""A gate before a service: only who has a good token of the identity stand-in comes through.

Refusals are those of Microsoft's DICOM and FHIR services: 401 with an empty body and a challenge, 403 with a sentence.
"""

from typing import Any

from dev.identity.guard import Access, Guard
from dev.proxy.call import Answer, Call


class Gate:
    """identity: origin of the stand-in whose tokens count. authority: the one that challenges name."""

    def __init__(self, identity: str, authority: str, access: Access) -> None:
        self._guard = Guard(identity)
        self._authority = authority
        self.access = self._at_start = access

    def reset(self) -> None:
        self.access = self._at_start
        self._guard.reset()

    async def close(self) -> None:
        await self._guard.close()

    def stats(self) -> dict[str, Any]:
        return self._guard.stats()

    async def refusal(self, call: Call) -> Answer | None:
        """The answer to a request that may not pass."""
        authorization = next((value for name, value in call.headers if name.lower() == "authorization"), None)
        refusal = await self._guard.refusal(authorization, self.access)
        if refusal is None:
            return None
        if refusal.status == 403:
            return Answer(403, [("Content-Type", "text/plain; charset=utf-8")], b"Authorization failed.")
        return Answer(401, [("WWW-Authenticate", self._challenge(refusal.reason, refusal.description))])

    def _challenge(self, reason: str, description: str) -> str:
        audience = next(iter(self.access.audiences), "")
        challenge = f'Bearer authorization_uri="{self._authority}", resource_id="{audience}", realm="{audience}"'
        if reason == "missing":
            return challenge
        return f'{challenge}, error="invalid_token", error_description="{description}"'
