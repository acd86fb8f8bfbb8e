"""Whether a bearer token opens a service: one place for the gate before DICOM and FHIR and for the vault.

The identity stand-in is asked about every token (RFC 7662), so that expiry and revocation count at once.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from dev.identity.settings import Settings

ROLE_MISSING = "role"


class Access(Settings):
    """on: tokens are asked for at all. audiences: those that are taken. role: what the token must say, null for any.
    deny: nobody has the role any more, whatever the token says.
    """

    on: bool = True
    audiences: tuple[str, ...] = ()
    role: str | None = None
    deny: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """reason: missing, unknown, expired, revoked, audience (all 401) or role (403). claims: of the token."""

    reason: str
    description: str
    claims: dict[str, Any]

    @property
    def status(self) -> int:
        return 403 if self.reason == ROLE_MISSING else 401


class Guard:
    """Checks tokens of the identity stand-in at `identity`, and counts."""

    def __init__(self, identity: str) -> None:
        self._introspection = f"{identity}/_dev/introspect"
        self._client = httpx.AsyncClient(trust_env=False, timeout=30)
        self.passed = 0
        self.refused: Counter[str] = Counter()

    async def close(self) -> None:
        await self._client.aclose()

    def reset(self) -> None:
        self.passed = 0
        self.refused.clear()

    def stats(self) -> dict[str, Any]:
        return {"passed": self.passed, "refused": dict(self.refused)}

    async def refusal(self, authorization: str | None, access: Access) -> Refusal | None:
        """Why a request with this Authorization header is refused; None when it passes."""
        refusal = await self._judged(authorization, access) if access.on else None
        if refusal is None:
            self.passed += 1
        else:
            self.refused[refusal.reason] += 1
        return refusal

    async def _judged(self, authorization: str | None, access: Access) -> Refusal | None:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return Refusal("missing", "", {})
        answer = await self._client.post(self._introspection, data={"token": token})
        answer.raise_for_status()
        return _refusal(answer.json(), access)


def _refusal(claims: dict[str, Any], access: Access) -> Refusal | None:
    """The words are those of ASP.NET Core's bearer authentication, which both services use."""
    if not claims["active"]:
        words = {
            "unknown": "The signature is invalid",
            "expired": f"The token expired at '{claims.get('exp')}'",
            "revoked": "The token was revoked",
        }
        return Refusal(claims["reason"], words[claims["reason"]], claims)
    if claims["aud"] not in access.audiences:
        return Refusal("audience", f"The audience '{claims['aud']}' is invalid", claims)
    if access.deny or (access.role is not None and access.role not in claims["roles"]):
        return Refusal(ROLE_MISSING, "", claims)
    return None
