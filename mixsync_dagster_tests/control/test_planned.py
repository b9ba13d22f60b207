import pytest

from mixsync_dagster.control.planned import placeholder


@pytest.mark.parametrize(
    ("connection", "variable"),
    [
        ("media-s3", "MEDIA_S3_API_KEY"),
        ("Marketing Drive", "MARKETING_DRIVE_API_KEY"),
        ("9lives", "_9LIVES_API_KEY"),
        ("ümlaut", "_MLAUT_API_KEY"),
    ],
)
def test_stand_in_variables_have_names_that_shells_take(connection, variable):
    assert placeholder(connection, "api_key") == variable
