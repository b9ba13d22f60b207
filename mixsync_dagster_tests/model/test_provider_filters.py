import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_filters import check_provider_filters


@pytest.mark.parametrize(
    ("provider", "filters"),
    [
        ("s3", {}),
        ("s3", {"prefix": "2026/"}),
        ("tigris", {"prefix": ""}),
        ("s3", {"prefix": "é" * 512}),
        ("google_drive", {"shared_drive_id": "0AH-Xabc123"}),
        ("snowflake", {}),
    ],
)
def test_these_filters_are_accepted(provider, filters):
    check_provider_filters(filters, ProviderType(provider))


@pytest.mark.parametrize(
    ("provider", "filters", "sentence"),
    [
        (
            "s3",
            {"shared_drive_id": "0A"},
            "provider_filters.shared_drive_id is not a known key for s3; the accepted keys are prefix.",
        ),
        (
            "tigris",
            {"prefix": 5},
            (
                "provider_filters.prefix: 5 is not accepted; give the beginning of keys below the source path, text of "
                "at most 1024 bytes."
            ),
        ),
        ("s3", {"prefix": "é" * 512 + "a"}, "text of at most 1024 bytes."),
        (
            "google_drive",
            {"shared_drive_id": ""},
            'provider_filters.shared_drive_id: "" is not accepted; give the id of a shared drive (0A...).',
        ),
        (
            "sharepoint",
            {"prefix": "a"},
            "provider_filters.prefix is not a known key for sharepoint; the accepted keys are none.",
        ),
    ],
)
def test_other_filters_are_refused(provider, filters, sentence):
    with pytest.raises(InvalidInput) as refused:
        check_provider_filters(filters, ProviderType(provider))
    assert str(refused.value).endswith(sentence)


def test_every_provider_has_its_filters():
    for provider in ProviderType:
        check_provider_filters({}, provider)
