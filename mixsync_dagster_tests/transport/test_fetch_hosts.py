import re

import pytest

from mixsync_dagster.settings import Settings
from mixsync_dagster.transport.fetch_hosts import FetchHosts


@pytest.mark.parametrize(
    ("entry", "allowed", "refused"),
    [
        ("cdn.example", ("https://cdn.example:443",), ("https://www.cdn.example:443", "https://example:443")),
        ("CDN.example.", ("https://cdn.example:443", "https://cdn.example.:443"), ("https://cdn.example.evil:443",)),
        ("cdn.example", (), ("https://cdn.example:8443", "http://cdn.example:80")),
        ("cdn.example:8443", ("https://cdn.example:8443",), ("https://cdn.example:443",)),
        ("http://cdn.example", ("http://cdn.example:80", "https://cdn.example:443"), ("http://cdn.example:443",)),
        ("http://cdn.example:81", ("http://cdn.example:81", "https://cdn.example:81"), ("http://cdn.example:80",)),
        ("*.example", ("https://a.b.example:443",), ("https://example:443", "https://aexample:443")),
        ("*", ("https://anything:443", "https://8.8.8.8:443"), ("https://anything:22", "http://anything:80")),
        ("10.0.0.1:9000", ("https://10.0.0.1:9000",), ("https://10.0.0.2:9000",)),
        ("[2606:4700::1]:81", ("https://2606:4700::1:81",), ("https://2606:4700::2:81",)),
        ("2606:4700:0::1", (), ()),
    ],
)
def test_an_entry_allows_its_host_over_its_scheme_and_port(entry, allowed, refused):
    def allows(url):
        scheme, _, rest = url.partition("://")
        host, _, port = rest.rpartition(":")
        return FetchHosts.of([entry]).allow(scheme, host, int(port))

    assert [allows(url) for url in allowed] == [True] * len(allowed)
    assert [allows(url) for url in refused] == [False] * len(refused)


def test_without_entries_nothing_is_allowed():
    assert not FetchHosts().allow("https", "cdn.example", 443)


@pytest.mark.parametrize(
    "entry", ["", "https://a", "a/b", "a:0", "a:65536", "a:x", "a b", "http://", "*:x", "**", "a,b"]
)
def test_an_entry_of_another_form_is_not_accepted(entry):
    with pytest.raises(ValueError, match=f"^{re.escape(entry)}$"):
        FetchHosts.of([entry])


def test_the_setting_is_off_by_default_and_holds_entries():
    assert Settings.load({}).fetch_hosts == ()
    assert Settings.load({"MIXSYNC_FETCH_HOSTS": "a.example, *"}).fetch_hosts == ("a.example", "*")
