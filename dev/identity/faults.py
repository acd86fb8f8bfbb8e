"""Faults of a stand-in, told by `POST /_dev/faults`: refusals and waits, by the rules of the proxy."""

import asyncio
from typing import Any

from starlette.requests import Request

from dev.proxy.call import Call
from dev.proxy.rules import Rule, Rules

# the others are about connections: a proxy before the stand-in does those
KINDS = ("status", "slow")


class Faults:
    """Which rules act on a request. `path` of a rule tells the endpoints of one stand-in apart."""

    def __init__(self) -> None:
        self._rules = Rules()

    def use(self, rules: list[dict[str, Any]]) -> None:
        """Replace all rules; raises ValueError or TypeError on one that says something unknown."""
        for rule in rules:
            if rule.get("kind", "status") not in KINDS:
                raise ValueError(f"{rule['kind']!r} is none of {', '.join(KINDS)}")
        self._rules.use(rules)

    async def drawn(self, request: Request) -> Rule | None:
        """Wait as told, then the refusal to give, if any."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        for rule in self._rules.draw(Call(request.method, path)):
            if rule.kind != "slow":
                return rule
            await asyncio.sleep(rule.seconds)
        return None


def retry_after(rule: Rule) -> dict[str, str]:
    """The header that goes with a refusal."""
    return {} if rule.retry_after_s is None else {"Retry-After": f"{rule.retry_after_s:g}"}
