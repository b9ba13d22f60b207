"""The REST API: `api`, and the keys that open it: `keys`."""

from __future__ import annotations

import socket
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.auditing import note
from mixsync_dagster.commands.failures import CommandFailed
from mixsync_dagster.commands.shared import JsonFlag, opened
from mixsync_dagster.errors import InvalidInput

if TYPE_CHECKING:
    from mixsync_dagster.control.keys import KeyRing
    from mixsync_dagster.model.api_keys import ApiKey
    from mixsync_dagster.wiring import Services

_MAX_HEADER_BYTES = 32 * 1024
_GRACE_SECONDS = 10


class Action(StrEnum):
    """What is done to keys."""

    LIST = "list"
    CREATE = "create"
    REVOKE = "revoke"
    ROTATE = "rotate-secret"


class RoleName(StrEnum):
    """The roles, as the option takes them."""

    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("api", epilog="Example: `mixsync api --port 8800`, then open http://127.0.0.1:8800/docs")(api)
    epilog = "Example: `mixsync keys create --namespace media --role admin`, or `mixsync keys revoke sk_0a1b2c3d`"
    app.command("keys", epilog=epilog)(keys)


def api(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8800,
) -> None:
    """Serve the REST API until a signal ends it.

    Until the first key is made by `mixsync keys create`, requests on a loopback address need none and act as the local
    owner, who made what files and commands define. Any other address needs a key first. There is no TLS: put a proxy
    that has it in front.
    """
    import uvicorn

    from mixsync_dagster.api.app import create_app
    from mixsync_dagster.api.hosts import is_loopback
    from mixsync_dagster.commands import output

    loopback = is_loopback(host)
    with opened() as services:
        if not loopback and not services.open_keys().any():
            accepted = "a loopback address such as 127.0.0.1, or make a key first by `mixsync keys create`"
            raise InvalidInput.of("--host", host, accepted)
        listening = _listen(host, port)
        config = uvicorn.Config(
            create_app(services, open_access=loopback),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        shown = f"[{host}]" if ":" in host else host
        output.print_line(f"The API is at http://{shown}:{listening.getsockname()[1]}/v1, its pages at /docs.")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            # The server has answered what was under way before it passes the signal on.
            output.print_line("The API has stopped.")
        finally:
            listening.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise CommandFailed(f"the API cannot listen on {host} port {port} ({error.strerror}).") from error


def keys(
    action: Annotated[
        Action, typer.Argument(metavar="[list|create|revoke|rotate-secret]", help="What to do.", show_default="list")
    ] = Action.LIST,
    prefix: Annotated[
        str | None, typer.Argument(metavar="[PREFIX]", help="Which key to revoke: its beginning, as listed.")
    ] = None,
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="The only namespace that a new key opens, by id or name.")
    ] = None,
    role: Annotated[
        RoleName, typer.Option("--role", help="viewer reads, editor also changes, admin also handles connections.")
    ] = RoleName.EDITOR,
    organisation: Annotated[
        str, typer.Option("--organisation", help="The organisation, whose connections its namespaces share.")
    ] = "local",
    description: Annotated[str | None, typer.Option("--description", help="What a new key is for.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """List the API's keys, make one or revoke one; or exchange the secret key that credentials are encrypted with.

    A key is shown once, when it is made. The namespace `default` of the organisation `local` is that of everything that
    files and commands define. `rotate-secret` encrypts every credential anew, one at a time, while all else goes on;
    interrupted, it goes on when it is called again. API keys stay valid.
    """
    with opened() as services:
        if action is Action.ROTATE:
            _rotate(services, json_output=json_output)
            return
        ring = services.open_keys()
        if action is Action.CREATE:
            if namespace is None:
                raise InvalidInput.of("--namespace", "nothing", "the id or name of a namespace, e.g. default")
            made = _create(ring, namespace, organisation, role, description, json_output=json_output)
            note(services, "keys create", f"key {made.prefix}")
        elif action is Action.REVOKE:
            if prefix is None:
                raise InvalidInput.of("PREFIX", "nothing", "the beginning of a key, as `mixsync keys` lists it")
            revoked = ring.revoke(prefix)
            note(services, "keys revoke", f"key {revoked.prefix}")
            _tell(revoked, json_output=json_output)
        else:
            _list(ring, json_output=json_output)


def _create(
    ring: KeyRing, namespace: str, organisation: str, role: RoleName, description: str | None, *, json_output: bool
) -> ApiKey:
    from mixsync_dagster.commands import output
    from mixsync_dagster.commands.failures import say
    from mixsync_dagster.model.api_keys import Role

    key, token = ring.create(
        namespace=namespace, organisation=organisation, role=Role(role.value), description=description
    )
    if json_output:
        output.print_json({**_form(key), "key": token})
        return key
    output.print_line(token)
    say(f"The key opens {key.namespace_id} as {key.role}; it is shown this once.")
    return key


def _list(ring: KeyRing, *, json_output: bool) -> None:
    from mixsync_dagster.commands import output

    if json_output:
        output.print_json_lines(_form(key) for key in ring.list())
        return
    columns = ("key", "organisation", "namespace", "role", "created", "revoked", "description")
    rows = (
        (f"{k.prefix}...", k.internal_id, k.namespace_id, k.role, k.created_at, k.revoked_at, k.description)
        for k in ring.list()
    )
    output.print_table(columns, rows, empty="There is no key yet; make one by `mixsync keys create --namespace NAME`.")


def _tell(key: ApiKey, *, json_output: bool) -> None:
    from mixsync_dagster.commands import output

    if json_output:
        output.print_json(_form(key))
    else:
        output.print_line(f"The key {key.prefix}... is revoked.")


def _rotate(services: Services, *, json_output: bool) -> None:
    from mixsync_dagster.commands import output
    from mixsync_dagster.commands.failures import ExitStatus, say
    from mixsync_dagster.home import rotate_secret

    done = rotate_secret(services.store, services.settings)
    note(services, "keys rotate-secret")
    facts = {"resealed": done.resealed, "unreadable": sorted(done.unreadable), "finished": done.finished}
    if json_output:
        output.print_json(facts)
    else:
        output.print_line(f"{done.resealed} secrets were encrypted anew.")
        if done.finished:
            output.print_line("No old key is needed any more.")
    for identifier, why in done.unreadable.items():
        say(f"mixsync: {identifier}: {why}")
    if not done.finished:
        say("mixsync: old keys are still needed and stay; repeat `mixsync keys rotate-secret` when that is mended.")
        raise typer.Exit(ExitStatus.FAILED)


def _form(key: ApiKey) -> dict[str, object]:
    return {name: getattr(key, name) for name in type(key).__dataclass_fields__}
