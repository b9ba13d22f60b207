"""What the tests of this provider say in one word."""

from mixsync_dagster.model.items import items_of


def paths(pages):
    """Return the paths of all items of the pages, in order."""
    return [item.path for page in pages for item in items_of(page.items)]


def one(provider, path):
    """Return the listed item at a path."""
    return next(item for page in provider.list_pages() for item in items_of(page.items) if item.path == path)


def fetch(provider, item):
    return b"".join(provider.read(item))


def told(provider, after):
    """Return what a feed tells after a position: paths of items, identities that are gone, and where it ends."""
    pages = list(provider.changes(after))
    assert [page.caught_up for page in pages] == [False] * (len(pages) - 1) + [True]
    return sorted(set(paths(pages))), {gone for page in pages for gone in page.removed}, pages[-1].cursor


def identity(drive, path):
    return f"{drive.id}!{drive.find(path).id}"
