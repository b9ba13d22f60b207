"""What users may configure has an effect: a field that no code reads would be accepted and ignored."""

import ast
from typing import get_args

import pytest

from mixsync_dagster.model.base import Model
from mixsync_dagster.model.jsonschema import PUBLIC_MODELS
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.wiring import PROVIDERS
from mixsync_dagster_tests.architecture.source_tree import modules

WITHOUT_READER = {
    "type": "chooses the class of its model",
    "write_enabled": "only false is accepted",
    "namespace": "the hosted service is not offered yet",
}
"""Fields that nothing has to read, with the reason."""


def models_in(annotation, found):
    """Gather the models that an annotation holds, and those inside of them."""
    for part in get_args(annotation):
        models_in(part, found)
    if isinstance(annotation, type) and issubclass(annotation, Model) and annotation not in found:
        found.add(annotation)
        for field in annotation.model_fields.values():
            models_in(field.annotation, found)


def offered(model):
    provider = model.model_fields.get("provider_type")
    kinds = get_args(provider.annotation) if provider is not None else ()
    return not kinds or ProviderType(kinds[0]) in PROVIDERS


def names_read():
    """Attributes that the package's code reads."""
    return {
        node.attr
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def configured():
    found = set()
    for model in PUBLIC_MODELS.values():
        models_in(model, found)
    credentials = {model for model in found if model.__name__.endswith("Credentials")}
    kept = {model for model in found if offered(model)} - credentials
    assert len(kept) > 10, "too few models: this test would guard nothing"
    return sorted({(model.__name__, name) for model in kept for name in model.model_fields})


@pytest.mark.parametrize("name", sorted({name for _, name in configured()} - set(WITHOUT_READER)))
def test_a_field_that_users_give_is_read(name):
    models = [model for model, field in configured() if field == name]
    assert name in names_read(), f"{', '.join(models)}: no code reads {name}; let it do something, or refuse it"
