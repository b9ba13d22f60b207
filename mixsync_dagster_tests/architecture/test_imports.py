"""Fences: who may import whom, and who may touch the clock, the environment and the vendors."""

import ast
import re

import pytest

from mixsync_dagster_tests.architecture.source_tree import modules, of_layer

OURS = "mixsync_dagster"

MAY_IMPORT = {
    "errors": set(),
    "model": {"errors"},
    "ports": {"model", "errors"},
    "engine": {"model", "ports", "errors"},
    "transport": {"model", "ports", "errors"},
    "providers": {"model", "ports", "errors", "transport"},
    "buckets": {"model", "ports", "errors", "transport"},
    "state": {"model", "ports", "errors", "transport"},
    "control": {"model", "ports", "errors"},
}
"""What each layer may import of ours besides itself; skins, entries and the composition root may import all below."""

VENDORS = {
    "boto3": {"providers.s3"},
    "awscrt": {"providers.s3"},
    "botocore": {"providers.s3"},
    "obstore": {"providers.s3", "buckets"},
    "googleapiclient": {"providers.google_drive"},
    "google.auth": {"providers.google_drive"},
    "google.oauth2": {"providers.google_drive"},
    "httplib2": {"providers.google_drive"},
    "dagster_snowflake": {"providers.snowflake"},
    "msal": {"providers.sharepoint"},
    "snowflake": {"providers.snowflake"},
    "sqlalchemy": {"state"},
    "alembic": {"state"},
    "typer": {"commands", "cli"},
    "fastapi": {"api"},
    "fastapi_offline": {"api"},
    "prometheus_client": {"api"},
    "opentelemetry": {"transport"},
    "uvicorn": {"commands"},
    "dagster": {"orchestration", "definitions"},
    "dagster_aws": {"orchestration"},
}
"""Where each outside package may be imported: a change of vendor is then a change of one folder."""


def inner_layers(module):
    for name, line in module.imports():
        if name.startswith(OURS + "."):
            yield name.split(".")[1], line


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_a_layer_imports_only_what_lies_below_it(layer):
    for module in of_layer(layer):
        for target, line in inner_layers(module):
            assert target == layer or target in MAY_IMPORT[layer], (
                f"{module.path}:{line}: {layer} imports {target}; it may import only {sorted(MAY_IMPORT[layer])}, "
                "so that every layer can be read and tested with what lies below it"
            )


@pytest.mark.parametrize("layer", ["providers", "buckets", "state"])
def test_adapters_do_not_know_each_other(layer):
    others = {"providers", "buckets", "state", "control", "engine", "orchestration"} - {layer}
    for module in of_layer(layer):
        for target, line in inner_layers(module):
            assert target not in others, f"{module.path}:{line}: adapters are put together in wiring.py only"


def test_providers_are_independent_of_each_other():
    for module in of_layer("providers"):
        parts = module.name.split(".")
        if len(parts) < 3:
            continue
        for name, line in module.imports():
            other = re.match(rf"{OURS}\.providers\.(\w+)", name)
            assert not other or other.group(1) == parts[1], f"{module.path}:{line}: imports provider {other.group(1)}"


@pytest.mark.parametrize("package", sorted(VENDORS))
def test_a_vendor_is_imported_in_its_own_place_only(package):
    places = VENDORS[package]
    for module in modules():
        if module.layer == "testing":
            continue
        for name, line in module.imports():
            if name == package or name.startswith(package + "."):
                assert any(module.name == place or module.name.startswith(place + ".") for place in places), (
                    f"{module.path}:{line}: {package} belongs to {sorted(places)} only"
                )


@pytest.mark.parametrize(
    ("package", "place"),
    [("obstore", "providers.s3"), ("sqlalchemy", "state"), ("dagster", "orchestration"), ("typer", "commands")],
)
def test_the_vendor_fences_guard_something(package, place):
    assert any(
        name == package or name.startswith(package + ".")
        for module in modules()
        if module.name.startswith(place)
        for name, _ in module.imports()
    )


def test_private_parts_of_dagster_are_not_used():
    for module in modules():
        for name, line in module.imports():
            assert not name.startswith("dagster._"), f"{module.path}:{line}: only Dagster's public interface lasts"


def test_the_engine_needs_nothing_but_arrow_and_re2():
    allowed = {"pyarrow", "re2", OURS}
    import sys

    for module in of_layer("engine"):
        for name, line in module.imports():
            top = name.split(".")[0]
            assert top in allowed or top in sys.stdlib_module_names, f"{module.path}:{line}: the engine imports {top}"


def test_no_provider_is_named_in_the_engine():
    for module in of_layer("engine"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = set(re.findall(r"[a-z0-9_]+", node.value.lower()))
                named = words & {"s3", "tigris", "google_drive", "sharepoint", "snowflake"}
                assert not named, f"{module.path}:{node.lineno}: names {named}; the engine asks capabilities instead"


def attribute_uses(module, owner, names):
    for node in ast.walk(module.tree):
        named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if named and node.value.id == owner and node.attr in names:
            yield node.lineno


def test_only_settings_read_the_environment():
    readers = set()
    for module in modules():
        if list(attribute_uses(module, "os", {"environ", "getenv"})):
            readers.add(module.name)
    assert readers == {"settings"}


def test_clocks_and_dice_belong_to_transport():
    for module in modules():
        if module.layer in {"transport", "testing"}:
            continue
        for name, line in module.imports():
            assert name.split(".")[0] not in {"time", "random"}, f"{module.path}:{line}: ask the Clock instead"
        for owner in ("datetime", "dt"):
            for line in attribute_uses(module, owner, {"now", "utcnow", "today"}):
                raise AssertionError(f"{module.path}:{line}: ask the Clock instead")
