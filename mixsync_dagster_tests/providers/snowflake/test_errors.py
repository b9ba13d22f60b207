import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, PathNotFound, ProviderUnavailable, RateLimited
from mixsync_dagster.providers.snowflake.errors import Failure, Kind, Place, Stage, told

PLACE = Place("acct", "reader", "ANALYST", "WH", '"DB"."S"."T"', 300)
REFUSED, OUT = Kind.REFUSAL, Kind.OUTAGE


@pytest.mark.parametrize(
    ("failure", "error", "sentence"),
    [
        (
            Failure(REFUSED, Stage.STATEMENT, 2003, "42S02"),
            PathNotFound,
            'source_path: "DB"."S"."T" does not exist, or the role ANALYST lacks',
        ),
        (Failure(REFUSED, Stage.STATEMENT, 2043, "02000"), PathNotFound, "does not exist"),
        (
            Failure(REFUSED, Stage.STATEMENT, 3001, "42501"),
            AccessDenied,
            "The role ANALYST may not read .* grant SELECT",
        ),
        (
            Failure(REFUSED, Stage.STATEMENT, 606, "57P03"),
            ConfigurationError,
            "warehouse: WH does not exist, or the role",
        ),
        (Failure(REFUSED, Stage.STATEMENT, 630, "57014"), ConfigurationError, "query_timeout_seconds: .* 300 seconds"),
        (Failure(REFUSED, Stage.STATEMENT, 90073, None), ConfigurationError, "resource monitor has suspended WH"),
        (Failure(REFUSED, Stage.STATEMENT, 904, "42000"), ConfigurationError, "column .* is gone"),
        (Failure(REFUSED, Stage.STATEMENT, 1003, "42000"), ConfigurationError, "refuses a statement about .*code 1003"),
        (Failure(REFUSED, Stage.STATEMENT, 604, "57014"), ProviderUnavailable, "no usable answer"),
        (Failure(REFUSED, Stage.STATEMENT, 390112), ProviderUnavailable, "session with Snowflake has ended"),
        (Failure(OUT, Stage.STATEMENT, 290503), ProviderUnavailable, "no usable answer"),
        (Failure(OUT, Stage.STATEMENT, 290403), ProviderUnavailable, "no usable answer"),
        (Failure(OUT, Stage.STATEMENT, 290429), RateLimited, "slow down"),
        (Failure(OUT, Stage.SIGN_IN, 250001), ProviderUnavailable, "cannot be reached"),
        (
            Failure(REFUSED, Stage.SIGN_IN, 250001),
            AccessDenied,
            "credentials: the account acct does not accept the user reader",
        ),
        (Failure(REFUSED, Stage.SIGN_IN, 250001, about="role"), AccessDenied, "role: the role ANALYST does not exist"),
        (Failure(REFUSED, Stage.SIGN_IN, 250001, about="network_policy"), AccessDenied, "network policy"),
        (Failure(OUT, Stage.SIGN_IN, 290404), ConfigurationError, "account: nobody answers for the account acct"),
        (Failure(OUT, Stage.SIGN_IN, 250001, about="account"), ConfigurationError, "account: nobody answers"),
        (Failure(OUT, Stage.SIGN_IN, 251008), AccessDenied, "credentials"),
    ],
)
def test_a_failure_becomes_a_sentence_that_names_what_is_missing(failure, error, sentence):
    with pytest.raises(error, match=sentence):
        raise told(failure, PLACE)


def test_the_default_role_is_named_as_such():
    place = Place("acct", "reader", None, "WH", "T", 300)
    with pytest.raises(AccessDenied, match="The default role of reader may not read"):
        raise told(Failure(REFUSED, Stage.STATEMENT, 3001), place)
