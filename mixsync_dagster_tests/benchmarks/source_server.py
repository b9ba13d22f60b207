"""The S3 service that every benchmark reads from: nginx with a page of Lua, faster than all of its clients."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from mixsync_dagster_tests.benchmarks.datasets import Dataset

WORKERS = 2

_CONFIGURATION = """\
{modules}
daemon off;
master_process on;
worker_processes {workers};
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    lua_package_path "{lua}/?.lua;;";
    lua_shared_dict counted 1m;
    init_by_lua_block {{ require("source_server").start("{datasets}") }}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location / {{ content_by_lua_block {{ require("source_server").serve() }} }}
    }}
}}
"""


class ServerMissing(Exception):
    """nginx or its Lua module is not installed."""


class SourceServer:
    """A running server; a context manager. Buckets are served as soon as `offer` wrote their listing."""

    def __init__(self, folder: Path, datasets: Path) -> None:
        self.folder = folder
        self._datasets = datasets
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """The endpoint URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        Dataset(count=1, mean_bytes=3072).write_listing(self._datasets)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                modules=_modules(),
                workers=WORKERS,
                folder=self.folder,
                datasets=self._datasets,
                lua=Path(__file__).parent,
                port=self.port,
            )
        )
        command = ["nginx", "-p", str(self.folder), "-c", str(configuration), "-e", str(self.folder / "error.log")]
        self._process = subprocess.Popen(command)
        self._await_answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)

    def offer(self, dataset: Dataset) -> None:
        """Make the dataset's bucket exist."""
        dataset.write_listing(self._datasets)

    def take_counts(self) -> dict[str, int]:
        """Return the requests since the last call, by kind (list, get, head, other), and start again at zero."""
        with urllib.request.urlopen(f"{self.url}/_counts", timeout=10) as answer:
            lines = answer.read().decode().split()
        return {kind: int(count) for kind, count in (line.split("=") for line in lines)}

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                self.take_counts()
            except OSError:
                if time.monotonic() > deadline:
                    log = (self.folder / "error.log").read_text()
                    raise ServerMissing(f"nginx does not answer on port {self.port}: {log[-500:]}") from None
                time.sleep(0.05)
            else:
                return


def server_version() -> str:
    """Return what `nginx -v` tells. Raises ServerMissing with the way to install it."""
    if shutil.which("nginx") is None:
        raise ServerMissing(
            "nginx with Lua is not installed: `apt-get install nginx-light libnginx-mod-http-lua` on Debian and Ubuntu."
        )
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    return told.strip().removeprefix("nginx version: ")


def _modules() -> str:
    # Debian builds the Lua module apart; an nginx that has it inside (OpenResty) has no such files.
    server_version()
    told = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"--modules-path=(\S+)", told)
    folder = Path(found.group(1) if found else "/usr/lib/nginx/modules")
    paths = [folder / "ndk_http_module.so", folder / "ngx_http_lua_module.so"]
    return "\n".join(f"load_module {path};" for path in paths if path.exists())
