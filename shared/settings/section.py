"""What groups of settings have in common: names in any case, text forms as .NET reads them, no value in a message."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, get_args

from pydantic import AfterValidator, AliasChoices, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from shared.text_forms import check_secure, parse_boolean, parse_time_span, parse_url

TimeSpan = Annotated[
    timedelta, BeforeValidator(lambda value: parse_time_span(value) if isinstance(value, str) else value)
]
Boolean = Annotated[bool, BeforeValidator(parse_boolean)]
Url = Annotated[str, BeforeValidator(parse_url)]
SecureUrl = Annotated[Url, AfterValidator(check_secure)]
Text = Annotated[str, Field(min_length=1)]


def matching(pattern: str, rule: str) -> AfterValidator:
    """The whole text must match; `rule` completes the sentence "the setting must be …"."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"must be {rule}")
        return text

    return AfterValidator(check)


class Section(BaseModel):
    """A group of settings; its names are PascalCase, in any case."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_pascal(name).lower())),
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


def problem_of(detail: ErrorDetails, models: Iterable[type[BaseModel]]) -> str:
    """One wrong setting: its full name, and what would be right."""
    found = [section for model in models for section in sections_of(model)]
    names = {to_pascal(name).lower(): to_pascal(name) for section in found for name in section.model_fields}
    names |= {"studyqueuename": "STUDY_QUEUE_NAME", "syncschedule": "SYNC_SCHEDULE"}
    name = "__".join(names.get(str(part).replace("_", "").lower(), str(part)) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{name} is missing"
    return f"{name} {detail['msg'].removeprefix('Value error, ')}"


def sections_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and every section within it, those that may be absent included."""
    yield model
    for field in model.model_fields.values():
        if (section := section_in(field)) is not None:
            yield from sections_of(section)


def section_in(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, also where it may be absent; None for a value."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
