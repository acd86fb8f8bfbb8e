"""Tokens: issued, signed, looked up again, revoked and counted."""

import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

TENANT = "11111111-2222-4333-8444-555555555555"
ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    audience: str
    expires_on: int
    issued_at: int


@dataclass(slots=True)
class _Issued:
    claims: dict[str, Any]
    revoked: bool = False


class Tokens:
    """All tokens of this process; the key they are signed with is made with it."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = uuid.uuid4().hex
        self._issued: dict[str, _Issued] = {}
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def issue(
        self,
        grant: str,
        client_id: str,
        audience: str,
        roles: Iterable[str],
        *,
        lifetime_s: int,
        opaque: bool = False,
        user: str | None = None,
    ) -> Token:
        """A new token, counted by grant, client and audience."""
        now = int(time.time())
        # app tokens of Entra carry these (access token claims reference)
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self._issuer,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_s,
            "appid": client_id,
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, user or client_id)),
            "roles": list(roles),
            "tid": TENANT,
            "uti": secrets.token_urlsafe(16),
            **({"upn": user} if user else {}),
        }
        text = secrets.token_urlsafe(32) if opaque else self._signed(claims)
        self._issued[text] = _Issued(claims)
        self.counts[grant, client_id, audience] += 1
        return Token(text, audience, claims["exp"], now)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id})

    def introspect(self, text: str) -> dict[str, Any]:
        """What a service wants to know of a token (RFC 7662); one that is not active has a reason."""
        issued = self._issued.get(text)
        if issued is None:
            return {"active": False, "reason": "unknown"}
        if issued.revoked:
            return {"active": False, "reason": "revoked"}
        if issued.claims["exp"] <= time.time():
            return {"active": False, "reason": "expired", "exp": issued.claims["exp"]}
        return {"active": True, **issued.claims}

    def revoke(self, client_id: str | None = None) -> int:
        """Revoke all tokens issued until now, or those of one client; how many there were."""
        chosen = [
            one
            for one in self._issued.values()
            if not one.revoked and (client_id is None or one.claims["appid"] == client_id)
        ]
        for one in chosen:
            one.revoked = True
        return len(chosen)

    def keys(self) -> dict[str, Any]:
        """The public key, as a JSON Web Key Set."""
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._key_id, "alg": ALGORITHM, "use": "sig"}]}
