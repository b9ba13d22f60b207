"""Values that must not leave by accident, and references that stand for them in files.

`reveal` is the only way from a secret to its plain value; `repr`, `str`, `model_dump` and JSON show a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, overload

import pydantic
from pydantic import AfterValidator, BaseModel, Discriminator, Field, SecretStr, Tag

from mixsync_dagster.model.base import Accepted, Model, Text, is_unicode, not_accepted

MASK = "**********"
"""What a secret looks like wherever it is shown; refused as a value, for it can only be a masked export read back."""


class Secret(SecretStr):
    """Text that is shown as a mask everywhere; equal to another secret of the same text."""


class SecretMapping(pydantic.Secret[dict[str, Any]]):
    """A mapping that may hold secrets at any depth, before it is known which; shown as a mask everywhere."""

    def _display(self) -> str:
        return MASK


class EnvReference(Model):
    """Stands for the value of an environment variable; the value is read when it is needed and never stored."""

    env: Annotated[
        str,
        Text(1, 255, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", accepted="the name of an environment variable"),
    ] = Field(description="Name of the environment variable that holds the value.", examples=["MEDIA_SECRET"])


def _tag(value: object) -> str:
    return "reference" if isinstance(value, Mapping | EnvReference) else "value"


def _usable(secret: Secret) -> Secret:
    plain = secret.get_secret_value()
    if not plain or plain == MASK or "\x00" in plain or not is_unicode(plain):
        message = "no usable secret"
        raise ValueError(message)
    return secret


PlainSecret = Annotated[
    Secret,
    AfterValidator(_usable),
    Accepted("the secret as text of at least one character (not the mask of an exported one), or {env: NAME}"),
]
"""A secret of at least one character that is not the mask."""

_REFERENCE = Annotated[EnvReference, Tag("reference")]

SecretValue = Annotated[Annotated[PlainSecret, Tag("value")] | _REFERENCE, Discriminator(_tag)]
"""A secret, given as it is or as `{env: NAME}`."""

TextValue = Annotated[
    Annotated[str, Text(accepted="text of at least one character, or {env: NAME}"), Tag("value")] | _REFERENCE,
    Discriminator(_tag),
]
"""Text that is no secret, given as it is or as `{env: NAME}`."""

AnyMapping = Annotated[SecretMapping, Accepted("a mapping of keys to values")]
"""A mapping that is checked later, when it is known what it configures."""


def secret_form(check: Callable[[str], bool], accepted: str) -> AfterValidator:
    """Return an annotation for a SecretValue whose plain form must pass `check`; `accepted` finishes "give ..."."""

    def checked(value: object) -> object:
        if isinstance(value, Secret) and not check(value.get_secret_value()):
            raise not_accepted(accepted)
        return value

    return AfterValidator(checked)


@overload
def reveal(value: Secret) -> str: ...
@overload
def reveal(value: BaseModel | SecretMapping | Mapping[str, Any]) -> dict[str, Any]: ...


def reveal(value: Secret | BaseModel | SecretMapping | Mapping[str, Any]) -> str | dict[str, Any]:
    """Return the plain form: a secret's text, or a model's or mapping's JSON values with secrets in plain text.

    References stay references (`{"env": NAME}`). The result must go to the provider or to encryption, nowhere else.
    """
    if isinstance(value, Secret):
        return value.get_secret_value()
    if isinstance(value, SecretMapping):
        return dict(value.get_secret_value())
    plain = value.model_dump(mode="python") if isinstance(value, BaseModel) else dict(value)
    return {key: _plain(element) for key, element in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Secret | SecretMapping | BaseModel | Mapping):
        return reveal(value)
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return pydantic.TypeAdapter(Any).dump_python(value, mode="json")


def references(value: BaseModel) -> dict[str, str]:
    """Return {field: variable} for the model's own fields that are references; empty when there are none."""
    fields = ((name, getattr(value, name)) for name in type(value).model_fields)
    return {name: field.env for name, field in fields if isinstance(field, EnvReference)}
