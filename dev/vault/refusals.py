"""The errors of Key Vault, in its words where they are known from the reports of its users."""

import base64
import json
import time

from starlette.responses import JSONResponse, Response

from dev.identity.faults import retry_after
from dev.identity.guard import Refusal
from dev.proxy.rules import Rule

MISSING = "AKV10000: Request is missing a Bearer or PoP token."
FORBIDDEN = (
    "Caller is not authorized to perform action on resource.\r\n"
    "If role assignments, deny assignments or role definitions were changed recently, please observe propagation time."
    "\r\nCaller: appid={appid};oid={oid};iss={iss}\r\nAction: '{action}'\r\nAssignment: (not found)\r\n"
    "DecisionReason: 'DeniedWithNoValidRBAC' \r\n"
)
DISABLED = "Operation get is not allowed on a disabled secret."
NOT_FOUND = (
    "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be "
    "able to recover it using the correct recovery command."
)
THROTTLED = "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"


def refused(refusal: Refusal, authority: str, resource: str, action: str) -> Response:
    """401 with a challenge, or 403."""
    if refusal.status == 403:
        return error(403, "Forbidden", FORBIDDEN.format(action=action, **refusal.claims), inner="ForbiddenByRbac")
    messages = {
        "missing": MISSING,
        "unknown": "AKV10046: Unable to resolve the key used for signature validation.",
        "expired": "[TokenExpired] Error validating token: 'S2S12086'.",
        "audience": f"AKV10022: Invalid audience. Expected {resource}, found: {refusal.claims.get('aud')}.",
        "revoked": "The token was revoked.",
    }
    challenge = f'Bearer authorization="{authority}", resource="{resource}"'
    if refusal.reason == "revoked":
        challenge = f'Bearer authorization="{authority}", error="insufficient_claims", claims="{_claims()}"'
    answer = error(401, "Unauthorized", messages[refusal.reason])
    answer.headers["WWW-Authenticate"] = challenge
    return answer


def _claims() -> str:
    """Asks for a token that is newer than now (continuous access evaluation)."""
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
    return base64.b64encode(json.dumps(wanted).encode()).decode()


def error(status: int, code: str, message: str, *, inner: str = "") -> Response:
    detail = {"innererror": {"code": inner}} if inner else {}
    return JSONResponse({"error": {"code": code, "message": message, **detail}}, status)


def told(rule: Rule) -> Response:
    """A fault that somebody asked for."""
    code, message = ("Throttled", THROTTLED) if rule.status == 429 else ("InternalServerError", "Please retry.")
    answer = error(rule.status, code, message)
    answer.headers.update(retry_after(rule))
    return answer
