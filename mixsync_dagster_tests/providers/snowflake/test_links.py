"""What URLs in a column name becomes blobs, from hosts and addresses that an administrator allows and no others."""

import json

import pytest

from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.commands.conftest import bare_home, home, mixsync  # noqa: F401 - found by being here
from mixsync_dagster_tests.control.support import applied
from mixsync_dagster_tests.support.s3_servers import Reply, lying_server  # noqa: F401 - a fixture

DEFINED = """\
connections:
  warehouse:
    provider_type: snowflake
    provider_config:
      account: acct
      warehouse: WH
      host: 127.0.0.1
      port: {port}
      protocol: http
      primary_key_columns: [ID]
      credentials: {{type: username_password, username: reader, password: {{env: MEDIA_SECRET}}}}
buckets:
  bkt_rows:
syncs:
  items:
    bucket_id: bkt_rows
    connection_id: warehouse
    source_path: {table}
    schema_mapping:
      mappings:
        name: {{target_type: field, source: {{type: column, name: name}}}}
        photo: {{target_type: blob, source: {{type: column, name: url}}}}
        note:
          target_type: blob
          blob_type: text
          source: {{type: column, name: NOTE}}
          mime_type_override: text/x-note
"""


def bytes_of(request):
    if request.target.startswith("/gone"):
        return Reply(404)
    if request.target.startswith("/large"):
        return Reply(200, b"x" * 2000)
    if request.target.startswith("/inside"):
        return Reply(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"})
    disposition = {"Content-Disposition": 'attachment; filename="named.txt"'} if "/note" in request.target else {}
    return Reply(200, request.target.encode(), {"Content-Type": "image/png", **disposition})


@pytest.fixture
def web(lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = bytes_of
    return lying_server


@pytest.fixture
def world(tables, home, mixsync, web, monkeypatch):  # noqa: F811 - the fixtures above
    return LinkWorld(tables, mixsync, web, monkeypatch)


class LinkWorld:
    """A table of URLs, a web server on loopback, and the commands of an installation that allows it."""

    def __init__(self, tables, mixsync, web, monkeypatch):  # noqa: F811 - no fixture here
        self.tables, self.mixsync, self.web, self.monkeypatch = tables, mixsync, web, monkeypatch
        tables.run("CREATE TABLE $ITEMS (ID NUMBER, NAME VARCHAR, URL VARCHAR, NOTE VARCHAR)")
        with Services.open() as services:
            applied(services, DEFINED.format(port=tables.simulator.port, table=f"WORLD.{tables.schema}.ITEMS"))

    def put(self, number, url, note=None):
        self.tables.run("DELETE FROM $ITEMS WHERE ID = ?", str(number))
        sql = "INSERT INTO $ITEMS SELECT CAST(? AS NUMBER), ?, ?, ?"
        self.tables.run(sql, str(number), f"n{number}", url, note)

    def url(self, path):
        return self.web.endpoint_url + path

    def allow(self, **settings):
        port = self.web.endpoint_url.rpartition(":")[2]
        given = {
            "FETCH_HOSTS": f"http://127.0.0.1:{port},http://169.254.169.254",
            "ALLOWED_ADDRESSES": "127.0.0.1",
        } | settings
        for name, value in given.items():
            self.monkeypatch.setenv(f"MIXSYNC_{name}", value)

    def run(self):
        done = self.mixsync("run", "items", "--json")
        return done.status, done.out, done.err

    def objects(self):
        with Services.open() as services:
            bucket = services.bucket_for("bkt_rows")
            try:
                return {
                    stored.source_path: {
                        blob.property: (blob, b"".join(bucket.open_blob(blob.sha256))) for blob in stored.blobs
                    }
                    for stored in services.store.list_objects("bkt_rows", limit=100)
                }
            finally:
                bucket.close()

    def letters(self):
        with Services.open() as services:
            sync = services.store.get_sync("items")
            found = services.store.list_dead_letters(sync.sync_config_id)
            return {letter.source_path: (letter.error_type, letter.error_message) for letter in found}


def test_what_a_column_names_becomes_a_blob(world):
    world.allow()
    world.put(1, world.url("/a/one.png?sig=1"), world.url("/note/1"))
    world.put(2, None, "")
    status, out, _ = world.run()
    assert (status, json.loads(out)["created"]) == (0, 2)
    found = world.objects()
    assert found["2"] == {}
    photo, data = found["1"]["photo"]
    assert (photo.type, photo.filename, photo.mime_type, data) == ("image", "one.png", "image/png", b"/a/one.png?sig=1")
    note, data = found["1"]["note"]
    assert (note.type, note.filename, note.mime_type, data) == ("text", "named.txt", "text/x-note", b"/note/1")


def test_a_row_is_fetched_again_when_it_changed_and_only_then(world):
    world.allow()
    world.put(1, world.url("/one"))
    world.put(2, world.url("/two"))
    world.run()
    world.put(2, world.url("/three"))
    world.web.seen.clear()
    assert world.run()[0] == 0
    assert [request.target for request in world.web.seen] == ["/three"]
    assert world.objects()["2"]["photo"][1] == b"/three"


def test_what_may_not_be_fetched_becomes_a_dead_letter_with_its_reason(world):
    world.allow(FETCH_BYTES="1000")
    world.put(1, world.url("/fine"))
    world.put(2, "http://127.0.0.2:80/x?sig=CANARY-sig")
    world.put(3, world.url("/inside"))
    world.put(4, world.url("/gone"))
    world.put(5, world.url("/large"))
    world.put(6, "not a url")
    world.put(7, world.url("/fine"), "file:///etc/passwd")
    status, _, _ = world.run()
    assert status == 3
    assert sorted(world.objects()) == ["1"]
    letters = world.letters()
    assert {path: kind for path, (kind, _) in letters.items()} == {
        "2": "url_refused",
        "3": "address_refused",
        "4": "not_found",
        "5": "too_large",
        "6": "url_refused",
        "7": "url_refused",
    }
    assert letters["2"][1] == (
        "blob photo: The host 127.0.0.2 is not fetched from by http on port 80; let an administrator add it to "
        "MIXSYNC_FETCH_HOSTS if it is meant."
    )
    assert letters["3"][1].startswith("blob photo: The host 169.254.169.254 stands at 169.254.169.254, which is link-")
    assert letters["5"][1] == "blob photo: 127.0.0.1 answers with more than the 1000 bytes that are fetched at most."
    assert letters["7"][1] == "blob note: The value is no http or https URL."
    assert "CANARY" not in str(letters)


def test_a_failing_server_is_asked_again_by_the_next_runs(world):
    world.allow()
    world.put(1, world.url("/one"))
    world.web.answer = lambda _: Reply(503)
    assert world.run()[0] == 3
    assert world.letters()["1"] == ("no_answer", "blob photo: 127.0.0.1 answered with status 503.")
    world.web.answer = bytes_of
    assert world.run()[0] == 0
    assert world.objects()["1"]["photo"][1] == b"/one"
    assert world.letters() == {}


def test_nothing_is_fetched_unless_hosts_are_listed(world):
    world.put(1, world.url("/one"))
    status, _, err = world.run()
    assert status == 1
    assert (
        "schema_mapping: the URLs of the blob photo are not fetched here; let an administrator list their hosts in "
        "MIXSYNC_FETCH_HOSTS, or map the column as a field."
    ) in err
    assert world.web.seen == []


def test_loopback_is_refused_unless_it_is_allowed(world):
    world.allow(ALLOWED_ADDRESSES="")
    world.put(1, world.url("/one"))
    assert world.run()[0] == 3
    assert world.letters()["1"][0] == "address_refused"
    assert world.web.seen == []


def test_a_value_that_is_no_text_is_the_items_failure(world):
    world.allow()
    world.tables.run("CREATE OR REPLACE TABLE $ITEMS (ID NUMBER, NAME VARCHAR, URL NUMBER, NOTE VARCHAR)")
    world.tables.run("INSERT INTO $ITEMS SELECT 1, 'a', 7, NULL")
    assert world.run()[0] == 3
    assert world.letters()["1"] == ("validation_error", "blob photo: column url holds no text.")
