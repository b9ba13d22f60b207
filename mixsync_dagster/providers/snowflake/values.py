"""What becomes of values on their way from the connector to JSON: nothing is lost, and every value has one form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

_MOMENT = re.compile(
    r"(?P<date>[+-]?\d{4,}-\d\d-\d\d)?[T ]?(?P<clock>\d\d:\d\d:\d\d)?(?:\.(?P<fraction>\d{1,9}))?"
    r"\s*(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?"
)
_NANOSECOND_LENGTH = len("2026-01-01T00:00:00.000000000")

# Separators without blanks and text as it is: versions are hashes of this form, so it must never change.
to_json: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def moment(text: str) -> str:
    """Return a date, time or timestamp in one form: ISO 8601, a fraction of 3, 6 or 9 digits or none, a numeric zone.

    A text of another form is returned as it is.
    """
    if len(text) == _NANOSECOND_LENGTH and text[10] == "T" and text[20:].isdigit():
        # As sessions of ours write times without a zone.
        return text[:19] + _fraction(text[20:])
    match = _MOMENT.fullmatch(text.strip())
    if match is None or not (match["date"] or match["clock"]):
        return text
    zone = "+00:00" if match["utc"] else ""
    if match["sign"]:
        zone = f"{match['sign']}{match['hours']}:{match['minutes'] or '00'}"
    parts = [part for part in (match["date"], match["clock"]) if part]
    return "T".join(parts) + _fraction(match["fraction"] or "") + zone


def _fraction(digits: str) -> str:
    digits = digits.rstrip("0")
    return "." + digits.ljust(-(-len(digits) // 3) * 3, "0") if digits else ""


def decimal_value(value: Any) -> str:
    """Return a decimal as text with all its digits, never with an exponent."""
    return format(value if isinstance(value, Decimal) else Decimal(str(value)), "f")


def float_value(value: Any) -> Any:
    """Return a float as number; nan and infinities, which JSON does not know, as text."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def json_value(value: Any) -> Any:
    """Return the value of a JSON text; numbers that a float would round, and text that is no JSON, as text."""
    try:
        return _parsed(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        # An array may hold `undefined`, which is no JSON.
        return value


def _exact(text: str) -> float | str:
    """Return a number of JSON as such where nothing is lost, else its text."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def moment_value(value: Any) -> str:
    """Return a date, time or timestamp as `moment` writes it."""
    return moment(str(value))


def digest_value(value: Any) -> dict[str, str]:
    """Return the SHA-256 of a BINARY value, which stands for it."""
    return {"sha256": str(value).lower()}


def whole_text(value: Any) -> str:
    """Return the JSON text of a whole number of any size."""
    return str(value) if type(value) is int else str(int(value))


def float_text(value: Any) -> str:
    """Return the JSON text of `float_value`."""
    number = float(value)
    return float.__repr__(number) if math.isfinite(number) else encode_basestring(str(number))


def decimal_text(value: Any) -> str:
    """Return the JSON text of `decimal_value`."""
    return encode_basestring(decimal_value(value))


def truth_text(value: Any) -> str:
    """Return the JSON text of a truth value."""
    return "true" if value else "false"


def moment_text(value: Any) -> str:
    """Return the JSON text of `moment_value`."""
    return encode_basestring(moment(str(value)))


def text_of(value: Callable[[Any], Any]) -> Callable[[Any], str]:
    """Return the function that makes the JSON text of what another one returns."""
    return lambda given: to_json(value(given))


_parsed: Callable[[str], Any] = json.JSONDecoder(parse_constant=str, parse_float=_exact).decode
