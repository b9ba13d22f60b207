"""S3 and its dialects as a Provider and an AttributeSource."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mixsync_dagster.errors import ConfigurationError, CursorExpired, PathNotFound
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.provider import Capabilities, Cursor, Page
from mixsync_dagster.providers.s3.attributes import metadata_of, tags_of
from mixsync_dagster.providers.s3.bytes_reader import BytesReader
from mixsync_dagster.providers.s3.client import S3Client, refusal_of
from mixsync_dagster.providers.s3.errors import item_error, request_error
from mixsync_dagster.providers.s3.listing import Listing, Scope, Tokens
from mixsync_dagster.providers.s3.page_parser import ListedPage, parse_page
from mixsync_dagster.providers.s3.pages import ItemBuilder, key_of
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.http import HttpAnswer

_OK = 200
_DIRECTORY_BUCKET = "--x-s3"


class S3Provider:
    """One bucket, a folder of it, or one object, at any service that speaks S3.

    The source path is a folder unless a key of exactly its name exists; then that object is the whole scope. Making a
    provider sends nothing. Raises ConfigurationError when the settings cannot be used.
    """

    def __init__(self, settings: S3Settings, clock: Clock) -> None:
        if settings.container.endswith(_DIRECTORY_BUCKET):
            raise ConfigurationError(
                f"source_path: {settings.container} is a directory bucket, which cannot be listed in order; "
                "give a general purpose bucket."
            )
        row = settings.row
        self._settings = settings
        self._clock = clock
        self._ordered = row.ordered_listing
        self._client = S3Client(settings, clock)
        self._builder = ItemBuilder(f"{settings.identity}/{settings.container}/")
        self._reader = BytesReader(self._client, clock, bucket=settings.container, etag_is_md5=row.etag_is_md5)
        self._capabilities = Capabilities(
            ordered_listing=self._ordered,
            attribute_kinds=frozenset({"metadata", "tag"} if row.tagging else {"metadata"}),
        )
        self._tokens = Tokens()
        self._scope: Scope | None = None
        self._scope_lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """Return what this dialect can do."""
        return self._capabilities

    @property
    def root(self) -> str:
        """Return the folder of the source path (of the object, when it names one).

        Asks the storage once when the prefix does not end in "/"; raises as `check` then.
        """
        scope = self._found_scope()
        return scope.root.decode()

    def check(self) -> None:
        """Return if the source path can be listed and, unless it is the whole bucket, holds at least one key."""
        scope = self._found_scope()
        place = scope.only or scope.root
        page = self._list(place, None, None, by_folder=False, most=1)
        if place and not page.keys and not page.truncated:
            raise PathNotFound(
                f"source_path: nothing exists below {self._settings.container}/{place.decode()}; "
                "give a folder that holds at least one object, or the name of an object."
            )

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:
        """Yield the listing behind `after`; see the port. Parts are listed at once between hints about HINT_ROWS apart.

        Raises CursorExpired for a foreign position, and where the dialect promises no order for any that is not of one
        of the last pages that this provider gave, or whose continuation the service refuses.
        """
        scope = self._found_scope()
        start = token = None
        if after is not None:
            start = key_of(after, scope.prefix if scope.only is None else b"")
            token = None if self._ordered else self._tokens.behind(after)
            if not self._ordered and token is None:
                raise CursorExpired("This service's listing has no order to go on from; the listing starts again.")
        prefix = self._builder.id_prefix
        cuts = [hint.removeprefix(prefix).encode() for hint in hints if hint.startswith(prefix)]
        listing = Listing(self._list_scope, self._builder, scope, ordered=self._ordered, tokens=self._tokens)
        if token is None:
            yield from listing.pages(start, cuts)
            return
        pages = listing.pages(start, cuts, token)
        try:
            first = next(pages)
        except ConfigurationError:
            # What was accepted a moment ago is only refused for the sake of the token.
            raise CursorExpired("The service has forgotten where the listing was; it starts again.") from None
        yield first
        yield from pages

    def read(self, item: SourceItem) -> Iterator[bytes]:
        """Yield the object's bytes: one chunk up to 1 MiB, else chunks of about 1 MiB."""
        return self._reader.read(item)

    def read_attributes(self, item: SourceItem, kinds: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return tags and user metadata of one object, one request a kind; unknown kinds are left out."""
        found: dict[str, Mapping[str, Any]] = {}
        wanted = kinds & self._capabilities.attribute_kinds
        if "metadata" in wanted:
            found["metadata"] = metadata_of(self._reader.head(item).headers)
        if "tag" in wanted:
            found["tag"] = self._tags(item)
        return found

    def close(self) -> None:
        """Free connections. Twice is harmless."""
        self._client.close()

    def _found_scope(self) -> Scope:
        """Return what the source path names; a prefix without a slash at its end is asked about once."""
        scope = self._scope
        if scope is not None:
            return scope
        with self._scope_lock:
            if self._scope is None:
                self._scope = self._find_scope()
            return self._scope

    def _find_scope(self) -> Scope:
        prefix = self._settings.prefix.encode()
        # The key itself sorts before every other key that it begins.
        single = (
            prefix != b""
            and not prefix.endswith(b"/")
            and self._list(prefix, None, None, by_folder=False, most=1).keys[:1] == [prefix]
        )
        return self._scope_as(single=single)

    def _scope_as(self, *, single: bool) -> Scope:
        """Return the scope of a prefix that names one object, or a folder."""
        prefix = self._settings.prefix.encode()
        narrowed_to = self._settings.narrowed_to.encode()
        if single:
            folder, _, name = prefix.rpartition(b"/")
            if not name.startswith(narrowed_to):
                raise ConfigurationError(
                    f"provider_filters.prefix: {self._settings.narrowed_to} is not how the object "
                    f"{self._settings.prefix} of the source path begins; leave the filter out."
                )
            return Scope(root=folder + b"/" if folder else b"", prefix=prefix, only=prefix)
        if prefix and not prefix.endswith(b"/"):
            prefix += b"/"
        return Scope(root=prefix, prefix=prefix + narrowed_to)

    def _list_scope(self, prefix: bytes, after: bytes | None, token: str | None, by_folder: bool) -> ListedPage:
        return self._list(prefix, after, token, by_folder=by_folder, most=self._settings.page_keys)

    def _list(self, prefix: bytes, after: bytes | None, token: str | None, *, by_folder: bool, most: int) -> ListedPage:
        query = list_query(prefix, after, token, by_folder=by_folder, most=most)
        return parse_page(self._successful(self._client.send("GET", query=query)).read())

    def _successful(self, answer: HttpAnswer) -> HttpAnswer:
        """Return the answer to a listing request; raises what else it says."""
        if answer.status == _OK:
            return answer
        raise request_error(
            refusal_of(answer), bucket=self._settings.container, right="s3:ListBucket", now=self._clock.now()
        )

    def _tags(self, item: SourceItem) -> dict[str, str]:
        answer = self._client.send("GET", item.path.encode(), [("tagging", "")])
        if answer.status != _OK:
            raise item_error(
                refusal_of(answer),
                bucket=self._settings.container,
                key=item.path,
                right="s3:GetObjectTagging",
                now=self._clock.now(),
            )
        return tags_of(answer.read())


def list_query(
    prefix: bytes, after: bytes | None, token: str | None, *, most: int, by_folder: bool = False
) -> list[tuple[str, str | bytes]]:
    """Return the parameters of a ListObjectsV2 request."""
    query: list[tuple[str, str | bytes]] = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(most))]
    if prefix:
        query.append(("prefix", prefix))
    if after is not None:
        query.append(("start-after", after))
    if token is not None:
        query.append(("continuation-token", token))
    if by_folder:
        query.append(("delimiter", "/"))
    return query
