"""Provider filters: what narrows a provider's listing itself, by provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster.model.validation import shown


def check_provider_filters(
    filters: Mapping[str, Any], provider: ProviderType, *, where: str = "provider_filters"
) -> None:
    """Return if the provider knows every key and its value. Raises InvalidInput naming those that it does not."""
    known = KINDS[provider].filters
    problems = []
    for key, value in filters.items():
        field = f"{where}.{key}"
        if key not in known:
            accepted = ", ".join(known) or "none"
            said = f"{field} is not a known key for {provider}; the accepted keys are {accepted}."
            problems.append(FieldProblem(field, "", accepted, said))
            continue
        if not known[key].accepts(value):
            accepted = known[key].accepted
            said = f"{field}: {shown(value)} is not accepted; give {accepted}."
            problems.append(FieldProblem(field, shown(value), accepted, said))
    if problems:
        raise InvalidInput(problems)
