"""A provider that is added to a copy of the package: what is new, and what has to be changed of what is there."""

CONFIG = '''"""Settings and credentials of the toy provider."""

from typing import Literal

from pydantic import Field

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.base import Model
from mixsync_dagster.model.secrets import TextValue


class ToyCredentials(Model):
    """A word."""

    type: Literal["word"] = Field(default="word", description="Always word.")
    word: TextValue = Field(description="The word, or {env: NAME}.")


class ToySettings(Model):
    """A box of toys."""

    provider_type: Literal["toy"] = Field(default="toy", description="Always toy.")


class ToyConfig(ToySettings):
    """A box of toys, and the word that opens it."""

    credentials: ToyCredentials = Field(description="word.")


def parse_toy_path(source_path: str, field: str = "source_path") -> str:
    """Return the box's name. Raises InvalidInput."""
    if not source_path.startswith("box:"):
        raise InvalidInput.of(field, source_path, "box: and a name")
    return source_path.removeprefix("box:")
'''

FACTORY = '''"""From a connection and a source path to the toys in the box."""

from mixsync_dagster.errors import AccessDenied, PathNotFound
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.testing.memory_feed import LoggedStorage, MemoryFeedProvider


def from_connection(config, source_path, **_):
    if reveal(config.credentials)["word"] != "abracadabra":
        raise AccessDenied("credentials.word: the box does not open.")
    if source_path != "box:bears":
        raise PathNotFound(f"source_path: there is no {source_path}.")
    storage = LoggedStorage()
    for name in ("brown", "white"):
        storage.put(f"bears/{name}.txt", name.encode())
    return MemoryFeedProvider(storage, "bears/", container="toys")
'''

NEW = {
    "model/toy.py": CONFIG,
    "providers/toy/__init__.py": '"""Toys."""\n',
    "providers/toy/factory.py": FACTORY,
}
"""New files by their path in the package."""

CHANGES = {
    "model/provider_configs.py": (
        ('    TIGRIS = "tigris"\n\n\nclass S3Dialect', '    TIGRIS = "tigris"\n    TOY = "toy"\n\n\nclass S3Dialect'),
        (
            "from mixsync_dagster.model.endpoints import",
            "from mixsync_dagster.model.toy import ToyConfig, ToySettings\nfrom mixsync_dagster.model.endpoints import",
        ),
        ("| SharePointSettings | SnowflakeSettings,", "| SharePointSettings | SnowflakeSettings | ToySettings,"),
        ("| SharePointConfig | SnowflakeConfig,", "| SharePointConfig | SnowflakeConfig | ToyConfig,"),
    ),
    "model/provider_kinds.py": (
        ("from mixsync_dagster.model import credentials,", "from mixsync_dagster.model import toy, credentials,"),
        (
            "\n)\n\nKINDS: Mapping",
            """
    ProviderKind(
        provider=ProviderType.TOY,
        config=toy.ToyConfig,
        credentials=(toy.ToyCredentials,),
        parse_path=toy.parse_toy_path,
        path_form="box:name",
        nowhere="box:mixsync-test-{0}",
        sources=_FILES,
        factory="mixsync_dagster.providers.toy.factory",
        reads="boxes of toys",
        privilege="the word",
    ),
)

KINDS: Mapping""",
        ),
    ),
}
"""(what stands there, what stands there then) by the path of the changed file."""

SYNC = """
connections:
  toys:
    provider_type: toy
    provider_config: {credentials: {type: word, word: abracadabra}}
buckets:
  bkt_toys: {description: Toys}
syncs:
  bears: {bucket_id: bkt_toys, connection_id: toys, source_path: "box:bears"}
"""
