"""What a stand-in does, as JSON that can be changed while it runs: `GET` and `PATCH` of `/_dev/settings`."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Immutable, and nothing in it is unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def patched(self, patch: dict[str, Any]) -> Self:
        """These settings with a JSON merge patch applied; raises ValueError on what is no setting."""
        return self.model_validate(merge(self.model_dump(mode="json"), patch))


def merge(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): objects are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
