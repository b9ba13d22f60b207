import pytest

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.providers.sharepoint.cursors import Position, Scope, decode, encode

SCOPE = Scope("b!drive", "01ITEM", "Ordner/\u00fcber/\U0001f600/", "named")
LINK = "https://graph.microsoft.com/v1.0/drives/b!drive/root/delta?token="


@pytest.mark.parametrize("link", [LINK + "short", LINK + "MzslMjM0OyUyMzE7" * 500])
def test_a_position_comes_back_whole_and_is_short_enough(link):
    cursor = encode(Position("feed", SCOPE, link), step=3)
    assert cursor.isascii()
    assert cursor.isprintable()
    assert len(cursor) < 4096
    assert decode(cursor, "feed") == Position("feed", SCOPE, link)


def test_a_link_that_cannot_be_shortened_enough_is_an_outage_and_not_a_lost_position():
    import random

    noise = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8000))
    with pytest.raises(ProviderUnavailable, match="too long"):
        encode(Position("feed", SCOPE, LINK + noise))


def test_a_small_cursor_that_unpacks_to_much_is_refused():
    import base64
    import zlib

    text = b'["feed",' + b" " * 1_000_000 + b'"named","drive",null,"","link",0]'
    bomb = "2" + base64.urlsafe_b64encode(zlib.compress(text, 9)).decode()
    with pytest.raises(CursorExpired):
        decode(Cursor(bomb), "feed")
