"""What every configuration model shares: strictness, immutability, and errors that say what would be accepted.

Checks raise pydantic's errors with types of our own; `validation.parse` turns them into one sentence a problem.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    JsonValue,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

NOT_ACCEPTED = "not_accepted"
"""Error type: the value is not of the accepted form, which `ctx["accepted"]` says in words."""
UNKNOWN_KEY = "unknown_key"
"""Error type: no such key; `ctx["accepted"]` lists the keys there are."""
REFUSED_KEY = "refused_key"
"""Error type: a key that is known and not offered here; `ctx["sentence"]` says why and what to do instead."""
MISSING_KEY = "missing_key"
"""Error type: a required key is absent; `ctx["accepted"]` says what to give."""

HIDDEN = object()
"""Stands in errors for what was given to a model whose every value may be a secret."""

MAX_METADATA_KEYS = 50
MAX_DESCRIPTION_CHARS = 500
MAX_INT64 = 2**63 - 1

_BUILTIN_ERROR_TYPES: frozenset[str] = frozenset(get_args(core_schema.ErrorType))


def not_accepted(accepted: str) -> PydanticCustomError:
    """Return the error for a validator of one field to raise; `accepted` finishes the sentence "give ..."."""
    return PydanticCustomError(NOT_ACCEPTED, "give {accepted}", {"accepted": accepted})


def missing(accepted: str) -> PydanticCustomError:
    """Return the error about a required key that is absent; `accepted` finishes the sentence "give ..."."""
    return PydanticCustomError(MISSING_KEY, "give {accepted}", {"accepted": accepted})


def field_not_accepted(field: str | tuple[str, ...], value: object, accepted: str) -> ValidationError:
    """Return the error for a validator of a whole model to raise about one of its fields; None counts as absent."""
    loc = (field,) if isinstance(field, str) else field
    kind = missing(accepted) if value is None else not_accepted(accepted)
    return ValidationError.from_exception_data(
        "input", [InitErrorDetails(type=kind, loc=loc, input=value)], hide_input=True
    )


class _Accepting:
    """An annotation that replaces whatever its schema reports by the one error that says what is accepted."""

    accepted: str

    def _schema(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(source)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            self._schema(source, handler),
            custom_error_type=NOT_ACCEPTED,
            custom_error_message="give {accepted}",
            custom_error_context={"accepted": self.accepted},
        )


class Accepted(_Accepting):
    """Put last in an `Annotated`: says in words what the type before it accepts."""

    def __init__(self, accepted: str) -> None:
        self.accepted = accepted


class WholeNumber(_Accepting):
    """An integer within bounds, both inclusive; neither text nor a boolean nor a fraction is taken for one."""

    def __init__(self, low: int, high: int | None = None, *, unit: str = "") -> None:
        self.low = low
        self.high = MAX_INT64 if high is None else high
        bounds = f"of {low} or more" if high is None else f"from {low} to {high}"
        self.accepted = f"a whole number {bounds}" + (f" ({unit})" if unit else "")

    def _schema(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.int_schema(strict=True, ge=self.low, le=self.high)


class Text(_Accepting):
    """A string of `low` to `high` characters that matches `pattern`; NUL is refused, for PostgreSQL cannot store it."""

    def __init__(
        self, low: int = 1, high: int | None = None, *, pattern: str | None = None, accepted: str | None = None
    ) -> None:
        self.low = low
        self.high = high
        self.pattern = pattern
        if high is not None:
            words = f"text of {low} to {high} characters" if low else f"text of at most {high} characters"
        else:
            words = "text of at least one character" if low else "text"
        self.accepted = accepted or words

    def _schema(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        text = core_schema.str_schema(strict=True, min_length=self.low, max_length=self.high, pattern=self.pattern)
        return core_schema.no_info_after_validator_function(_without_nul, text)


def _without_nul(text: str) -> str:
    if "\x00" in text:
        message = "holds a NUL character"
        raise ValueError(message)
    return text


class _Flag(_Accepting):
    accepted = "true or false"

    def _schema(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.bool_schema(strict=True)


Flag = Annotated[bool, _Flag()]
"""A boolean; `1` and `"yes"` are not taken for one."""

Count = Annotated[int, WholeNumber(0)]
"""A count that only grows."""


def _refuse_numbers(value: object) -> object:
    # Pydantic would read a number as seconds since 1970; a filter of that kind is a slip far more often than meant.
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip()[4:5] != "-"):
        message = "not ISO 8601"
        raise ValueError(message)
    return value


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        message = "outside of the years 1 to 9999 in UTC"
        raise ValueError(message) from error


UtcDatetime = Annotated[
    datetime,
    AfterValidator(_as_utc),
    BeforeValidator(_refuse_numbers),
    Accepted("an ISO 8601 date or date and time, e.g. 2024-01-31T09:00:00Z (without an offset: UTC)"),
]
"""A moment, kept as aware UTC; a value without an offset is UTC."""


def _storable(value: JsonValue, depth: int = 0) -> None:
    if depth > 32:  # noqa: PLR2004 - far beyond any hand-written value, far below the interpreter's recursion limit
        raise not_accepted("values nested at most 32 levels deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise not_accepted("JSON values: NaN and the infinities are none")
    if isinstance(value, str):
        if "\x00" in value:
            raise not_accepted("text without NUL characters")
        if not is_unicode(value):
            raise not_accepted("text that is valid Unicode")
    if isinstance(value, list):
        for element in value:
            _storable(element, depth + 1)
    elif isinstance(value, dict):
        for key, element in value.items():
            _storable(key, depth + 1)
            _storable(element, depth + 1)


def is_unicode(text: str) -> bool:
    """Return whether a text is valid Unicode; one with half of a surrogate pair, which JSON can escape, is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_json(value: JsonValue) -> JsonValue:
    """Return the value if it is one that every database of ours can hold. Raises a validator's error."""
    _storable(value)
    return value


Json = Annotated[JsonValue, AfterValidator(checked_json)]
"""Any JSON value that every database of ours can hold: finite numbers, valid Unicode without NUL."""


def _checked_metadata(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(metadata) > MAX_METADATA_KEYS:
        raise not_accepted(f"at most {MAX_METADATA_KEYS} keys, not {len(metadata)}")
    _storable(metadata)
    return metadata


Metadata = Annotated[dict[str, JsonValue], AfterValidator(_checked_metadata)]
"""The user's own tags: at most 50 keys, JSON values."""


def _checked_mapping(mapping: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _storable(mapping)
    return mapping


JsonMapping = Annotated[dict[str, JsonValue], AfterValidator(_checked_mapping)]
"""A mapping of JSON values, of any number of keys."""

Description = Annotated[str, Text(0, MAX_DESCRIPTION_CHARS)]


class Model(BaseModel):
    """Base of the configuration models: unknown keys are refused, instances do not change, errors hold no input."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        serialize_by_alias=True,
        validate_by_name=False,
        validate_by_alias=True,
    )

    secretive: ClassVar[bool] = False
    """Whether any value given here may be a secret, so that errors hold none of them."""

    refused_keys: ClassVar[Mapping[str, str]] = {}
    """Keys that users may expect here and that are not offered, with the sentence that says what to do instead."""

    @model_validator(mode="wrap")
    @classmethod
    def _say_what_is_accepted(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            raise cls._explained(error) from None

    @classmethod
    def accepted_keys(cls) -> tuple[str, ...]:
        """Return the keys that input may hold, in the order of their definition."""
        return tuple(info.alias or name for name, info in cls.model_fields.items())

    @classmethod
    def _explained(cls, error: ValidationError) -> ValidationError:
        lines = [cls._explained_line(line) for line in error.errors(include_url=False)]
        return ValidationError.from_exception_data(error.title, lines, hide_input=True)

    @classmethod
    def _explained_line(cls, line: ErrorDetails) -> InitErrorDetails:
        kind, loc, value = line["type"], line["loc"], HIDDEN if cls.secretive else line["input"]
        context = line.get("ctx", {})
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            # Told of the key that chooses; pydantic's own text would hold the value, whatever that is.
            tag = str(context["discriminator"]).strip("'")
            value = value.get(tag) if isinstance(value, Mapping) else None
            if kind == "union_tag_not_found":
                return InitErrorDetails(type=missing("the kind that is meant"), loc=(*loc, tag), input=value)
            accepted = "one of " + str(context["expected_tags"]).replace("'", "")
            return InitErrorDetails(type=not_accepted(accepted), loc=(*loc, tag), input=value)
        if len(loc) == 1 and kind == "extra_forbidden":
            return InitErrorDetails(type=cls._unknown_key(str(loc[0])), loc=loc, input=value)
        if len(loc) == 1 and kind == "missing":
            return InitErrorDetails(type=cls._missing_key(str(loc[0])), loc=loc, input=value)
        if kind not in _BUILTIN_ERROR_TYPES:
            # The message was formatted already, and its context is what our own errors are read by.
            error = PydanticCustomError(kind, line["msg"], context)
            return InitErrorDetails(type=error, loc=loc, input=value)
        return InitErrorDetails(type=kind, loc=loc, input=value, ctx=context)

    @classmethod
    def _unknown_key(cls, key: str) -> PydanticCustomError:
        if key in cls.refused_keys:
            return PydanticCustomError(REFUSED_KEY, "{sentence}", {"sentence": cls.refused_keys[key]})
        return PydanticCustomError(
            UNKNOWN_KEY, "the accepted keys are {accepted}", {"accepted": ", ".join(cls.accepted_keys())}
        )

    @classmethod
    def _missing_key(cls, key: str) -> PydanticCustomError:
        for name, info in cls.model_fields.items():
            if key in (name, info.alias):
                for annotation in info.metadata:
                    if isinstance(annotation, _Accepting):
                        return missing(annotation.accepted)
        return missing("a value, for it is required")
