"""A state store on SQLite, and the definitions that most tests begin with."""

from __future__ import annotations

from mixsync_dagster.control.definitions import AppliedSet, apply_definitions
from mixsync_dagster.control.yaml_files import load_text
from mixsync_dagster.wiring import Services, offered

FILE = "syncs.yaml"
VARIABLES = {"MEDIA_KEY": "AKIATEST", "MEDIA_SECRET": "a-secret-of-the-test"}
MEDIA = """\
connections:
  media-s3:
    provider_type: s3
    provider_config:
      endpoint_url: http://127.0.0.1:9
      credentials: {type: access_key, access_key_id: {env: MEDIA_KEY}, secret_access_key: {env: MEDIA_SECRET}}
buckets:
  bkt_media: {description: Media library}
syncs:
  videos:
    bucket_id: bkt_media
    connection_id: media-s3
    source_path: media/videos
"""


def with_line(line):
    """The definitions with one more line in the sync."""
    return f"{MEDIA}    {line}\n"


def applied(services: Services, text: str = MEDIA, variables=VARIABLES, **options) -> AppliedSet:
    """Apply a YAML text."""
    return apply_definitions(
        services.store,
        load_text(text, file=FILE),
        offered=offered(),
        lookup=variables.get,
        clock=services.clock,
        **options,
    )


def changes(done: AppliedSet) -> dict[str, str]:
    """What became of each definition, by kind and name."""
    return {f"{one.kind} {one.name}": one.change for one in done.changes}
