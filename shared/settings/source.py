"""Where settings come from: app settings, and behind them a Key Vault. The only reader of the environment."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from shared.settings.of_dicom_cast import without_effect
from shared.settings.path import Path, path_of
from shared.telemetry import event

SECTIONS = (
    *("dicomweb", "fhir", "dicomcast", "dicomcastworker", "patient", "imagingstudy", "retryconfiguration"),
    "tablestore",
)
# the how-to of DICOM Cast names its endpoint secret DICOM--Endpoint
HOW_TO_NAME, ITS_SETTING = ("dicom", "endpoint"), ("dicomweb", "endpoint")


class AppSettings(PydanticBaseSettingsSource):
    """All settings as one nested mapping by lower-case names; empty means not set. App settings win over the vault."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the source answers with everything at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """Raises Misconfigured or Unavailable where the vault cannot be read."""
        found = app_settings()
        if endpoint := found.get(("keyvault", "endpoint")):
            from shared.settings.vault import vault_settings  # noqa: PLC0415 - half a second of imports

            kept = vault_settings(endpoint)
            _report_both(kept)
            found = {**kept, **found}
        if unused := without_effect(found):
            event("settings_without_effect", settings=",".join(unused))
        if HOW_TO_NAME in found:
            found.setdefault(ITS_SETTING, found[HOW_TO_NAME])
        return nested(found)


def _report_both(kept: Mapping[Path, str]) -> None:
    """Name the settings that both the vault and the app settings have: DICOM Cast took that of the vault."""
    if names := sorted(name for name, value in os.environ.items() if value.strip() and path_of(name) in kept):
        reason = "the app settings win; DICOM Cast took the vault's: remove one of the two"
        event("settings_in_both", logging.WARNING, settings=",".join(names), reason=reason)


def app_settings() -> dict[Path, str]:
    """App settings that have a value, by their lower-case path; levels are parted by `__` or `:`."""
    return {path_of(name): value.strip() for name, value in os.environ.items() if value.strip()}


def written_names() -> dict[Path, str]:
    """The names of the app settings as somebody wrote them, by their path."""
    return {path_of(name): name for name in os.environ}


def nested(settings: Mapping[Path, str]) -> dict[str, Any]:
    """Sections within sections. A variable that happens to be named like a section is not one."""
    tree: dict[str, Any] = {}
    for path, value in sorted(settings.items(), key=lambda item: -len(item[0])):
        level = tree
        for section in path[:-1]:
            level = level.setdefault(section, {})
        level.setdefault(path[-1], value)
    for section in (*SECTIONS, "keyvault"):
        if isinstance(tree.get(section), str):
            del tree[section]
    for section in ("dicomweb", "fhir"):  # their absence is reported setting by setting
        tree.setdefault(section, {})
    return tree
