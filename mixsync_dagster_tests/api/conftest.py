from dataclasses import dataclass

import pytest

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import s3_server
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import Client, Library, make_key, make_library, opened_home, serving


@pytest.fixture
def services(tmp_path):
    with opened_home(tmp_path) as opened:
        yield opened


@pytest.fixture
def url(services):
    """The address of a server without keys."""
    with serving(services) as address:
        yield address


@pytest.fixture
def ask(url):
    """The local owner, who needs no key."""
    return Client(url)


@pytest.fixture(scope="session")
def source():
    """An S3-protocol server with three files, one of them without the metadata `owner`."""
    with s3_server() as running:
        running.put(Sample("films/a.txt", b"0123456789", "text/plain", metadata={"owner": "ana"}))
        running.put(Sample("films/b [x].txt", b"beta", "text/plain", metadata={"owner": "ben"}))
        running.put(Sample("other/c.txt", b"gamma", "text/plain"))
        yield running


@dataclass(frozen=True)
class Estate:
    """A server on which one tenant has a library, and who else has keys."""

    services: Services
    url: str
    owner: Client
    library: Library

    def with_key(self, namespace: str, role: str = "admin", organisation: str = "acme") -> Client:
        """Return a caller with a new key."""
        return Client(self.url, make_key(self.services, namespace, role, organisation))


@pytest.fixture(scope="module")
def estate(tmp_path_factory, source):
    """A tenant's library, for tests that only look at it."""
    with opened_home(tmp_path_factory.mktemp("estate")) as opened, serving(opened) as address:
        owner = Client(address, make_key(opened, "alpha"))
        yield Estate(opened, address, owner, make_library(opened, owner, source.endpoint_url))


@pytest.fixture
def own_estate(services, url, source):
    """A tenant's library, for tests that change it."""
    owner = Client(url, make_key(services, "alpha"))
    return Estate(services, url, owner, make_library(services, owner, source.endpoint_url))
