import logging
import time

import pytest

from mixsync_dagster.errors import AccessDenied, RateLimited
from mixsync_dagster.transport.redact import RedactingFilter, redact, summary


class VendorError(Exception):
    def __init__(self, text, status=None):
        super().__init__(text)
        self.status_code = status


def test_a_vendor_s_text_is_never_shown():
    assert summary(VendorError("GET https://u:CANARY@h/x?sig=CANARY body CANARY", 503)) == "VendorError (status 503)"
    assert summary(ValueError("CANARY")) == "ValueError"
    assert summary(ConnectionResetError(104, "CANARY")) == "ConnectionResetError (status 104)"


def test_our_own_sentences_are_kept_on_one_line():
    assert summary(AccessDenied("the right is\n missing")) == "AccessDenied: the right is missing"
    assert summary(RateLimited("x" * 900)).endswith("...")
    assert len(summary(RateLimited("x" * 900))) == 300


@pytest.mark.parametrize(
    "text",
    [
        "https://host/path?X-Amz-Signature=CANARY&b=1",
        "https://user:CANARY@host/path",
        "postgresql://user:CANARY@host:5432/db",
        "Authorization: Bearer CANARY",
        "authorization=AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host, Signature=CANARY",
        '{"client_secret": "CANARY", "a": 1}',
        "{'refresh_token': 'CANARY'}",
        "password=CANARY",
        "x-amz-security-token: CANARY",
        "aws_secret_access_key = CANARY",
        "Cookie: CANARY",
        "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nCANARY",
    ],
)
def test_secrets_are_hidden(text):
    assert "CANARY" not in redact(text)


@pytest.mark.parametrize(
    "text", ["in/a?b.txt changed", "https://host:9000/bucket/key", "3 of 7 pages", "the tokenizer: fast"]
)
def test_harmless_text_stays(text):
    assert redact(text) == text


def record(message, *args, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord("n", logging.INFO, "p", 1, message, args, info)


def test_the_filter_rewrites_message_arguments_and_traceback():
    one = record("asked %s with %s", "https://h/?k=CANARY", "token=CANARY", error=VendorError("CANARY", 500))
    assert RedactingFilter().filter(one) is True
    shown = logging.Formatter("%(message)s").format(one)
    assert "CANARY" not in shown
    assert shown.endswith("(VendorError (status 500))")


def test_the_filter_can_be_passed_twice():
    one = record("%s is 100%% done", "x")
    RedactingFilter().filter(one)
    RedactingFilter().filter(one)
    assert one.getMessage() == "x is 100% done"


@pytest.mark.parametrize("word", ["a", "a-", "http://", "-----BEGIN ", "token-", "token=", "'token'"])
def test_no_text_takes_long(word):
    begun = time.process_time()
    redact(word * (100_000 // len(word)))
    assert time.process_time() - begun < 1


def test_a_half_of_a_character_is_shown_as_one_that_is_not_known():
    assert redact("name \ud800 password=CANARY") == "name ? password=[hidden]"
