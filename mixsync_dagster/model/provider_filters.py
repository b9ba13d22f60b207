"""Provider filters: what narrows a provider's listing itself, by provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.paths import MAX_KEY_BYTES
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.validation import shown


def _is_key_part(value: object) -> bool:
    return isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_Key = tuple[Callable[[object], bool], str]
_PREFIX: Mapping[str, _Key] = {
    "prefix": (_is_key_part, f"the beginning of keys below the source path, text of at most {MAX_KEY_BYTES} bytes")
}

_KEYS: Mapping[ProviderType, Mapping[str, _Key]] = MappingProxyType(
    {
        ProviderType.S3: _PREFIX,
        ProviderType.TIGRIS: _PREFIX,
        ProviderType.GOOGLE_DRIVE: {"shared_drive_id": (_is_name, "the id of a shared drive (0A...)")},
        ProviderType.SHAREPOINT: {},
        ProviderType.SNOWFLAKE: {"content_column": (_is_name, "the name of a column whose value is the content")},
    }
)
"""The keys of each provider: the test of a value, and its accepted form in words."""


def check_provider_filters(
    filters: Mapping[str, Any], provider: ProviderType, *, where: str = "provider_filters"
) -> None:
    """Return if the provider knows every key and its value. Raises InvalidInput naming those that it does not."""
    known = _KEYS[provider]
    problems = []
    for key, value in filters.items():
        field = f"{where}.{key}"
        if key not in known:
            accepted = ", ".join(known) or "none"
            said = f"{field} is not a known key for {provider}; the accepted keys are {accepted}."
            problems.append(FieldProblem(field, "", accepted, said))
            continue
        accepts, accepted = known[key]
        if not accepts(value):
            said = f"{field}: {shown(value)} is not accepted; give {accepted}."
            problems.append(FieldProblem(field, shown(value), accepted, said))
    if problems:
        raise InvalidInput(problems)
