"""The README's path into a Mixpeek bucket, carried out at a simulated service: three files and two commands."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster_tests.docs import readme
from mixsync_dagster_tests.faults.storage import BUCKET, Storage, StorageServer

KEY = "README-KEY"


@pytest.fixture
def service():
    with MixpeekSimulator() as simulator:
        simulator.add_bucket("bkt_films", {"content": {"type": "video"}, "studio": {"type": "string"}})
        yield simulator


@pytest.fixture
def source():
    storage = Storage()
    storage.put("films/ufa/a.mp4", b"a film")
    storage.put("films/ufa/b.mov", b"another film")
    storage.put("films/notes.txt", b"no film")
    with StorageServer() as server:
        server.add(KEY, storage)
        yield server


@pytest.fixture
def mixsync(tmp_path):
    """Run a command in a folder of its own and return what it printed."""
    own = {"MIXSYNC_HOME": str(tmp_path / "home"), "MEDIA_KEY": KEY, "MEDIA_SECRET": "none", "MIXPEEK_API_KEY": API_KEY}

    def run(command, status=0):
        program = [sys.executable, "-c", "from mixsync_dagster.cli import main; main()", *command.split()[1:]]
        done = subprocess.run(
            program, cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    run("mixsync init")
    return run


def path_of_the_readme():
    """Return the section's files by name, and its commands."""
    section = readme.text().partition("## Into a Mixpeek bucket\n")[2].partition("\n## ")[0]
    blocks = [part.partition("```")[0] for part in section.split("```yaml\n")[1:]]
    assert len(blocks) == 3
    commands = [line.split("`")[1] for line in section.splitlines() if "| `mixsync " in line]
    found = {f"{next(iter(yaml.safe_load(block)))}.yaml": block for block in blocks}
    return found, commands


def test_three_files_and_two_commands_fill_a_mixpeek_bucket(mixsync, service, source, tmp_path):
    files, commands = path_of_the_readme()
    assert commands == ["mixsync apply connections.yaml buckets.yaml syncs.yaml", "mixsync run films"]
    for name, text in files.items():
        (tmp_path / name).write_text(moved(text, service, source))
    assert "3 created" in mixsync(commands[0])
    mixsync(commands[1])
    objects = service.buckets["bkt_films"].objects.values()
    assert sorted((one["studio"], one["blobs"][0]["details"]["filename"]) for one in objects) == [
        ("ufa", "a.mp4"),
        ("ufa", "b.mov"),
    ]
    [batch] = service.buckets["bkt_films"].batches.values()
    assert batch.submit_requests == 1
    listed = [json.loads(line) for line in mixsync("mixsync objects bkt_films --json").splitlines()]
    assert {one["source_path"] for one in listed} == {"films/ufa/a.mp4", "films/ufa/b.mov"}
    assert mixsync(f"mixsync cat bkt_films {listed[0]['object_id']}") in ("a film", "another film")
    assert "submitted" in mixsync("mixsync batches bkt_films")
    mixsync("mixsync verify --all")


def test_a_schema_that_the_mapping_does_not_fit_is_told_before_anything_is_stored(mixsync, service, source, tmp_path):
    files, commands = path_of_the_readme()
    service.add_bucket("bkt_films", {"picture": {"type": "image"}})
    for name, text in files.items():
        (tmp_path / name).write_text(moved(text, service, source))
    told = mixsync(commands[0], status=2)
    assert "syncs.yaml:9: syncs.films.schema_mapping.mappings.content.blob_property: content is not accepted" in told
    assert mixsync("mixsync syncs").startswith("There is no sync yet")


def moved(text, service, source):
    """Return a file of the README with its addresses on this machine, where nothing else has to change."""
    document = text.replace(
        "region: eu-west-1", f"region: us-east-1\n      endpoint_url: {source.url}\n      use_ssl: false"
    )
    document = document.replace("namespace: ns_films", f"namespace: {NAMESPACE}\n      base_url: {service.url}")
    return document.replace("source_path: media/films", f"source_path: {BUCKET}/films")
