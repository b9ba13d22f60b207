import contextlib
import re
import socket
import ssl

import httpcore
import httpx
import pytest

from mixsync_dagster.errors import AddressRefused, ProviderUnavailable
from mixsync_dagster.settings import Settings
from mixsync_dagster.transport.addresses import PUBLIC_ONLY, AddressPolicy, resolve_host
from mixsync_dagster.transport.http import HttpPool, HttpSettings
from mixsync_dagster_tests.support.s3_servers import Reply, lying_server  # noqa: F401 - a fixture

REFUSED = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "shared by a provider's customers",
    "100.100.100.200": "shared by a provider's customers",
    "169.254.169.254": "link-local, where clouds keep their metadata",
    "169.254.170.2": "link-local, where clouds keep their metadata",
    "168.63.129.16": "a cloud's own service",
    "192.0.0.192": "reserved",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "255.255.255.255": "reserved",
    "240.0.0.1": "reserved",
    "198.18.0.1": "for benchmarks",
    "203.0.113.9": "for documentation",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "not public",
    "::ffff:127.0.0.1": "an IPv4 address written as IPv6",
    "::ffff:8.8.8.8": "an IPv4 address written as IPv6",
    "64:ff9b::7f00:1": "an IPv4 address behind NAT64",
    "64:ff9b::808:808": "an IPv4 address behind NAT64",
    "64:ff9b:1::a00:1": "an IPv4 address behind NAT64",
    "2002:7f00:1::": "an IPv4 address behind 6to4",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "reserved",
    "fd00:ec2::254": "private",
    "fc00::1": "private",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "fec0::1": "not public",
    "ff02::1": "multicast",
    "2001:db8::1": "for documentation",
    "100::1": "not public",
    "4000::1": "not public",
    "no address at all": "no address",
}
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "169.253.0.1", "223.255.255.255", "2606:4700::1111")


def names(**addresses):
    """Return a resolver that knows these hosts only."""

    def resolve(host, _port):
        if host not in addresses:
            raise socket.gaierror(host)
        return addresses[host]

    return resolve


@pytest.mark.parametrize(("address", "why"), REFUSED.items())
def test_addresses_that_are_not_public_are_refused_with_the_reason(address, why):
    assert PUBLIC_ONLY.refusal(address) == why


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
    assert PUBLIC_ONLY.refusal(address) is None


def test_an_allowed_range_lets_in_its_addresses_and_no_others():
    policy = AddressPolicy.of(["10.1.0.0/16", "fd12::/16", "127.0.0.1"])
    assert [policy.refusal(a) for a in ("10.1.255.1", "fd12::1", "127.0.0.1")] == [None, None, None]
    assert [policy.refusal(a) for a in ("10.2.0.1", "fd13::1", "127.0.0.2")] == ["private", "private", "loopback"]


def test_a_range_of_nat64_lets_in_the_public_hosts_behind_it_only():
    policy = AddressPolicy.of(["64:ff9b::/96"])
    assert policy.refusal("64:ff9b::808:808") is None
    assert policy.refusal("64:ff9b::7f00:1") == "loopback"
    assert policy.refusal("64:ff9b::a9fe:a9fe") == "link-local, where clouds keep their metadata"


def test_an_allowed_name_lets_in_its_private_addresses_and_no_other_name():
    policy = AddressPolicy.of(["MinIO.lan.", "*.corp.example"])
    assert policy.refusal("10.0.0.1", host="minio.LAN") is None
    assert policy.refusal("10.0.0.1", host="a.b.corp.example.") is None
    for other in ("", "xminio.lan", "minio.lan.evil.example", "corp.example", "evilcorp.example"):
        assert policy.refusal("10.0.0.1", host=other) == "private"


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0"])
def test_no_name_opens_the_way_to_metadata_but_the_address_itself_does(address):
    assert AddressPolicy.of(["minio.lan"]).refusal(address, host="minio.lan") is not None
    assert AddressPolicy.of([address]).refusal(address) is None


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "a..b",
        "-a.example",
        "http://a.example",
        "a.example:80",
        "10.0.0.1/33",
        "2130706433",
        "a b",
        "x" * 254,
    ],
)
def test_an_entry_that_is_neither_name_nor_address_nor_range_is_not_accepted(entry):
    with pytest.raises(ValueError, match=f"^{re.escape(entry)}$") as refused:
        AddressPolicy.of([entry])
    assert str(refused.value) == entry


def test_only_the_addresses_that_pass_are_given_in_the_order_of_the_look_up():
    policy = AddressPolicy.of([], resolve=names(mixed=["10.0.0.1", "8.8.8.8", "::1", "1.1.1.1"]))
    assert policy.addresses_of("mixed", 443) == ["8.8.8.8", "1.1.1.1"]


def test_a_refused_host_is_one_sentence_with_host_address_and_reason():
    with pytest.raises(AddressRefused) as refused:
        AddressPolicy.of([], resolve=names(inner=["169.254.169.254"])).addresses_of("inner", 80)
    assert str(refused.value) == (
        "The host inner stands at 169.254.169.254, which is link-local, where clouds keep their metadata, and is not "
        "connected to; let an administrator add it to MIXSYNC_ALLOWED_ADDRESSES if it is meant."
    )


@pytest.mark.parametrize("host", ["unknown", "empty"])
def test_a_name_that_nobody_knows_is_an_outage(host):
    with pytest.raises(ProviderUnavailable, match=host):
        AddressPolicy.of([], resolve=names(empty=[])).addresses_of(host, 80)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "::1", "localhost"]
)
def test_loopback_is_refused_however_it_is_written(host):
    with pytest.raises(AddressRefused):
        PUBLIC_ONLY.addresses_of(host, 80)


def test_the_system_is_asked_once_for_each_address():
    assert list(resolve_host("127.0.0.1", 80)) == ["127.0.0.1"]


@contextlib.contextmanager
def listening():
    """Yield the port of a listener on loopback, and a function that tells whether somebody has come."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)

        def visited():
            try:
                server.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield server.getsockname()[1], visited


def test_nobody_is_connected_to_who_is_refused():
    policy = AddressPolicy.of([], resolve=names(inner=["127.0.0.1"]))
    with listening() as (port, visited):
        with pytest.raises(AddressRefused):
            policy.connect("inner", port, timeout_seconds=5)
        assert not visited()
        socket.create_connection(("127.0.0.1", port)).close()
        assert visited()


def test_a_name_that_changes_its_address_between_two_looks_is_judged_by_what_is_connected_to():
    answers = [["8.8.8.8"], ["127.0.0.1"]]
    policy = AddressPolicy.of([], resolve=lambda _host, _port: answers.pop(0))
    assert policy.addresses_of("rebinding", 80) == ["8.8.8.8"]
    with listening() as (port, visited):
        with pytest.raises(AddressRefused):
            policy.connect("rebinding", port, timeout_seconds=5)
        assert not visited()


def test_the_next_address_is_tried_when_one_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]
    with listening() as (port, _):
        policy = AddressPolicy.of(["127.0.0.0/8"], resolve=names(two=["127.0.0.2", "127.0.0.1"]))
        with policy.connect("two", port, timeout_seconds=5) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
            assert connection.gettimeout() == 5
    with pytest.raises(ConnectionRefusedError):
        policy.connect("two", closed, timeout_seconds=5)


def test_the_time_is_for_all_addresses_together():
    policy = AddressPolicy.of(["127.0.0.0/8"], resolve=names(many=["127.0.0.2", "127.0.0.3"]))
    with pytest.raises(TimeoutError):
        policy.connect("many", 9, timeout_seconds=0)


def pool_of(server, policy, **changes):
    port = int(server.endpoint_url.rpartition(":")[2])
    return HttpPool(HttpSettings("http", "inner", port, addresses=policy, **changes))


def test_a_pool_connects_where_the_policy_lets_it(lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x")
    policy = AddressPolicy.of(["inner"], resolve=names(inner=["127.0.0.1"]))
    assert pool_of(lying_server, policy).send("GET", "/", {}).read() == b"x"


def test_a_pool_does_not_connect_where_the_policy_does_not_let_it(lying_server):  # noqa: F811 - the fixture above
    policy = AddressPolicy.of([], resolve=names(inner=["127.0.0.1"]))
    with pytest.raises(AddressRefused):
        pool_of(lying_server, policy).send("GET", "/", {})
    with pytest.raises(ProviderUnavailable, match="inner"):
        pool_of(lying_server, AddressPolicy.of([], resolve=names())).send("GET", "/", {})
    assert lying_server.seen == []


def test_a_pool_tells_an_outage_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    policy = AddressPolicy.of(["127.0.0.1"], resolve=names(inner=["127.0.0.1"]))
    with pytest.raises(ProviderUnavailable, match="inner"):
        HttpPool(HttpSettings("http", "inner", port, addresses=policy)).send("GET", "/", {})


class PolicyBackend(httpcore.SyncBackend):
    """What the module's text says of httpx."""

    def __init__(self, policy):
        self._policy = policy

    def connect_tcp(self, host, port, **options):
        return super().connect_tcp(self._policy.addresses_of(host, port)[0], port, **options)


def test_httpx_connects_where_the_policy_lets_it(lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x")
    port = int(lying_server.endpoint_url.rpartition(":")[2])
    for allowed, outcome in ((["inner"], 200), ([], AddressRefused)):
        backend = PolicyBackend(AddressPolicy.of(allowed, resolve=names(inner=["127.0.0.1"])))
        with httpcore.ConnectionPool(ssl_context=ssl.create_default_context(), network_backend=backend) as pool:
            transport = httpx.HTTPTransport()
            transport._pool = pool
            with httpx.Client(transport=transport) as client:
                if outcome == 200:
                    assert client.get(f"http://inner:{port}/").status_code == 200
                else:
                    with pytest.raises(AddressRefused):
                        client.get(f"http://inner:{port}/")


def test_the_setting_makes_the_policy():
    settings = Settings.load({"MIXSYNC_ALLOWED_ADDRESSES": "minio.lan, 10.1.0.0/16"})
    policy = AddressPolicy.of(settings.allowed_addresses)
    assert policy.refusal("192.168.0.1", host="minio.lan") is None
    assert policy.refusal("10.1.0.1") is None
    assert policy.refusal("10.2.0.1") == "private"
