"""S3 and Tigris: a bucket of a real server, behind a proxy that counts requests and breaks what it is told to."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from mixsync_dagster.testing.fault_proxy import AnswerWith, FaultProxy, ProxiedRequest, s3_error
from mixsync_dagster.testing.tigris_simulator import TigrisSimulator
from mixsync_dagster_tests.scenarios.worlds import SCOPE, WAIT_SECONDS, Item, World
from mixsync_dagster_tests.support.s3_servers import SECRET_KEY, S3Server, new_bucket

_NO_POSITION = "a listing is the whole of what is asked, no position of it is kept by the service between passes"
_NOT_LISTED = "a listing tells no metadata, and the version that it tells is the content's"


class S3World(World):
    """Objects of one bucket below the prefix of the scope."""

    provider = "s3"
    lacks = MappingProxyType({"refused position": _NO_POSITION, "relabelled": _NOT_LISTED})
    keeps_identity = False
    # While the old key is there, its bytes under another one are a duplicate; a run that follows makes that an object.
    renamed = ({"duplicates": 1, "removed": 1}, {"created": 1})
    moved = ({"created": 1, "duplicates": 1, "removed": 2}, {"created": 1})
    folder_renamed = ({"duplicates": 2, "removed": 2}, {"created": 2})
    renews_sign_in = False
    quiet_requests = MappingProxyType({"listing": 1})

    def __init__(self, server: S3Server, endpoint_url: str | None = None) -> None:
        super().__init__()
        self.bucket = new_bucket(server)
        self.proxy = FaultProxy(endpoint_url or server.endpoint_url)
        self.host = urlsplit(self.proxy.url).netloc
        self.source_path = f"{self.bucket.name}/{SCOPE}/"
        self.renew_credentials()
        self._seen = 0

    def close(self) -> None:
        self.proxy.close()

    def connection(self) -> dict[str, Any]:
        keys = {"access_key_id": {"env": "SCENARIO_KEY"}, "secret_access_key": SECRET_KEY}
        return {
            "provider_type": self.provider,
            "endpoint_url": f"http://{self.host}",
            "dialect": "minio",
            "credentials": {"type": "access_key", **keys, "session_token": {"env": "SCENARIO_TOKEN"}},
        }

    def team_source(self) -> dict[str, str]:
        return {"type": "metadata", "key": "team"}

    def identity(self, path: str) -> str:
        return f"{self.host}/{self.bucket.name}/{path}"

    def break_item(self, path: str) -> str:
        self.proxy.add(s3_error(403, "InvalidObjectState"), method="GET", path=f"/{path}$")
        return "archived"

    def heal_item(self, path: str) -> None:
        self.proxy.clear()

    def throttle(self) -> None:
        refused = s3_error(503, "SlowDown", retry_after=WAIT_SECONDS)
        self.proxy.add(refused, query={"list-type": "2"}, times=1)
        # A read that is refused is asked for once more, by a client that is told for how long to wait.
        self.proxy.add(refused, method="GET", path=r"\.txt$", times=2)

    def expire_token(self) -> None:
        old = self.environment["SCENARIO_TOKEN"]
        refused = s3_error(400, "ExpiredToken")
        self.proxy.add(refused, path=r"\.txt$", when=lambda one: one.headers["x-amz-security-token"] == old)

    def renew_credentials(self) -> None:
        number = int(self.environment.get("SCENARIO_KEY", "AKIDTESTING000000000")[-3:]) + 1
        self.environment |= {"SCENARIO_KEY": f"AKIDTESTING000000{number:03}", "SCENARIO_TOKEN": f"token-{number}"}

    def requests(self) -> dict[str, int]:
        return dict(Counter(_kind(one.request) for one in self.proxy.log[self._seen :]))

    def reads(self) -> int:
        return self.requests().get("read", 0)

    def forget(self) -> None:
        self._seen = len(self.proxy.log)

    def _put(self, path: str, item: Item) -> None:
        self.bucket.put(path, item.content, Metadata={} if item.team is None else {"team": item.team})

    def _move(self, path: str, to: str) -> None:
        place = {"Bucket": self.bucket.name, "Key": path}
        self.bucket.client.copy_object(Bucket=self.bucket.name, Key=to, CopySource=place)
        self.bucket.delete(path)

    def _remove(self, path: str) -> None:
        self.bucket.delete(path)


class TigrisWorld(S3World):
    """The same, spoken to as Tigris is: the bucket in the host's name, consistency and the index asked for."""

    provider = "tigris"
    following = ("--full",)  # the index shows no removals, which wait for the daily listing

    def __init__(self, server: S3Server) -> None:
        self._simulator = TigrisSimulator(server.endpoint_url)
        super().__init__(server, self._simulator.url)
        self.host = self.host.replace("127.0.0.1", "localhost")
        # obstore resolves names by itself; as its proxy, the server is found whatever the bucket's name.
        self.environment |= {"HTTP_PROXY": self.proxy.url, "http_proxy": self.proxy.url, "NO_PROXY": "", "no_proxy": ""}
        self.heal_item("")

    def close(self) -> None:
        super().close()
        self._simulator.close()

    def connection(self) -> dict[str, Any]:
        keys = {"access_key_id": {"env": "SCENARIO_KEY"}, "secret_access_key": SECRET_KEY}
        return {"provider_type": self.provider, "endpoint_url": f"http://{self.host}", "credentials": keys}

    def heal_item(self, path: str) -> None:
        super().heal_item(path)
        refused = AnswerWith(400, {"Content-Type": "text/plain"}, b"neither path style nor weak consistency")
        self.proxy.add(refused, when=lambda one: not self._is_well_said(one))

    def expire_token(self) -> None:
        old = self.environment["SCENARIO_KEY"]
        refused = s3_error(403, "InvalidAccessKeyId")
        self.proxy.add(refused, path=r"\.txt$", when=lambda one: f"/{old}/"[1:] in one.headers["authorization"])

    def _is_well_said(self, request: ProxiedRequest) -> bool:
        virtual = request.headers["host"] == f"{self.bucket.name}.{self.host}"
        return virtual and request.headers.get("x-tigris-consistent") == "true"


def _kind(request: ProxiedRequest) -> str:
    if request.parameter("list-type"):
        return "listing"
    return {"GET": "read", "HEAD": "metadata"}.get(request.method, request.method)
