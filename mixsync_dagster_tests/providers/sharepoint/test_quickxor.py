import base64

import pytest

from mixsync_dagster.providers.sharepoint.quickxor import QuickXor
from mixsync_dagster.testing.graph_simulator.drives import quick_xor_hash

# Inputs and hashes of rclone's test suite (backend/onedrive/quickxorhash), both in base64.
PUBLISHED = [
    ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ("Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
    ("tbQ=", "taAFAAAAAAAAAAAAAgAAAAAAAAA="),
    ("jRRDVA==", "jaDAEKgAAAAAAAAABAAAAAAAAAA="),
    ("J9iPGCbfZSTNyw==", "J8DGIzBggm+UgQTNUgYAAAAAAAA="),
    ("2fuxhBJXtpWFe8dOfdGeHw==", "O9tHLAghgSvYohKFyMMxnNCHaHg="),
    ("g8VtAh+2Kf4k0kY5tzji2i2zmA==", "wDNrgwHWAVukwB8kg4YRcnALHIg="),
    (
        "Mb7EGva2rEE5fENDL85P+BsapHEEjv2/siVhKjvAQe02feExVOQSkfmuYzU/kTF1MaKjPmKF/w+cbvwfdWL8aQ==",
        "n1anP5NfvD4XDYWIeRPW3ZkPv1Y=",
    ),
    (
        (
            "w0LGhqU1WXFbdavqDE4kAjEzWLGGzmTNikzqnsiXHx2KRReKVTxkv27u3UcEz9+lbMvYl4xFf2Z4"
            "aE1xRBBNd1Ke5C0zToSaYw5o4B/7X99nKK2/XaUX1byLow2aju2XJl2OpKpJg+tSJ2fmjIJTkfuY"
            "Uz574dFX6/VXxSxwGH/xQEAKS5TCsBK3CwnuG1p5SAsQq3gGVozDWyjEBcWDMdy8/AIFrj/y03Lf"
            "c/RNRCQTAfZbnf2QwV7sluw4fH3XJr07UoD0YqN+7XZzidtrwqMY26fpLZnyZjnBEt1FAZWO7RnK"
            "G5asg8xRk9YaDdedXdQSJAOy6bWEWlABj+tVAigBxavaluUH8LOj+yfCFldJjNLdi90fVHkUD/m4"
            "Mr5OtmupNMXPwuG3EQlqWUVpQoYpUYKLsk7a5Mvg6UFkiH596y5IbJEVCI1Kb3D1"
        ),
        "e3+wo77iKcILiZegnzyUNcjCdoQ=",
    ),
]


@pytest.mark.parametrize(("content", "expected"), PUBLISHED)
@pytest.mark.parametrize("piece", [1, 7, 64, 160, 161, 1000])
def test_published_hashes_come_out_however_the_bytes_are_cut(content, expected, piece):
    data = base64.b64decode(content)
    content = QuickXor()
    for start in range(0, len(data), piece):
        content.update(data[start : start + piece])
    assert content.base64() == expected


@pytest.mark.parametrize("length", [159, 160, 161, 319, 320, 321, 479, 480, 481, 99_991])
def test_every_length_around_a_block_agrees_with_the_definition(length):
    data = bytes(number * 31 % 251 for number in range(length))
    content = QuickXor()
    content.update(data[:100])
    content.update(data[100:])
    assert content.base64() == quick_xor_hash(data)
