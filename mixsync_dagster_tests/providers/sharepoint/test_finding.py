import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, InvalidInput, PathNotFound
from mixsync_dagster.model.provider_configs import S3Config, SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster_tests.providers.sharepoint.support import paths


@pytest.fixture
def legal(world):
    """A site with a default library and three more."""
    world.graph.add_library("sites/Legal", "Documents", address="Shared Documents").put("default.txt", b"x")
    for name in ("Contracts", "Archive", "Cases"):
        world.graph.add_library("sites/Legal", name).put(f"{name}/2026/{name}.txt", b"x")
    return world


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ({"site_id": "root"}, "/sites/Legal", ["default.txt"]),
        ({"site_id": "root"}, "/sites/legal/", ["default.txt"]),
        ({"site_id": "root"}, "/sites/Legal/Documents", ["default.txt"]),
        ({"site_id": "root"}, "/sites/Legal/Shared Documents", ["default.txt"]),
        ({"site_id": "root"}, "/sites/Legal/cases", ["Cases/2026/Cases.txt"]),
        ({"site_id": "root"}, "/sites/Legal/Contracts/contracts/2026", ["Contracts/2026/Contracts.txt"]),
        ({"site_id": "https://contoso.sharepoint.com/sites/Legal"}, "/", ["default.txt"]),
        (
            {"site_id": "https://contoso.sharepoint.com/sites/Legal"},
            "/sites/Legal/Archive",
            ["Archive/2026/Archive.txt"],
        ),
        ({"site_id": "contoso.sharepoint.com,0000-2,1111-2"}, "/", ["default.txt"]),
        ({"drive_id": "b!02-03_simulated"}, "/", ["Cases/2026/Cases.txt"]),
        ({"drive_id": "b!02-03_simulated", "folder_path": "Cases/2026"}, "/", ["Cases/2026/Cases.txt"]),
        ({"drive_id": "b!02-03_simulated", "folder_path": "/nowhere"}, "/Cases", ["Cases/2026/Cases.txt"]),
        ({"site_id": "root", "folder_path": "/nowhere"}, "/sites/Legal", ["default.txt"]),
    ],
)
def test_a_place_is_found_by_everything_that_names_it(legal, settings, path, expected):
    assert paths(legal.provider(path, **settings).list_pages()) == expected


@pytest.mark.parametrize("name", ["sites", "a b", "100%25", "h#x", "q&a=1", "\u00fcber", "semi;colon", "it's", "plus+"])
def test_folders_of_odd_names_are_found(world, name):
    world.put(f"{name}/in/a.txt", b"x")
    world.put(f"other/{name}/b.txt", b"x")
    provider = world.provider(site_id="root", folder_path=f"/{name}/in")
    assert provider.root == f"{name}/in/"
    assert paths(provider.list_pages()) == [f"{name}/in/a.txt"]


def test_the_root_is_spelled_as_the_library_spells_it(world):
    world.put("Media/Deep/Er/a.txt", b"x")
    provider = world.provider("media/deep/ER")
    assert provider.root == "Media/Deep/Er/"
    assert paths(provider.list_pages()) == ["Media/Deep/Er/a.txt"]


def test_a_folder_below_the_root_takes_one_request(world):
    world.put("media/x.txt", b"x")
    assert world.provider("media").root == "media/"
    assert world.graph.count("item") == 1


def test_the_connection_s_site_tells_the_host_of_the_source_path_s(world):
    world.graph.add_library("sites/X", "Documents", host="fabrikam.sharepoint.com").put("theirs.txt", b"x")
    for site_id in ("https://fabrikam.sharepoint.com/sites/Y", "fabrikam.sharepoint.com,0,0"):
        assert paths(world.provider("/sites/X", site_id=site_id).list_pages()) == ["theirs.txt"]


def test_the_place_is_looked_for_once(world):
    world.put("a/b/c/x.txt", b"x")
    provider = world.provider("a/b/c")
    provider.check()
    seen = world.graph.count()
    provider.check()
    assert provider.root == "a/b/c/"
    assert world.graph.count() == seen + 1


def test_personal_sites_are_looked_for_at_their_own_host(world):
    library = world.graph.add_library(
        "personal/user_contoso_com", "OneDrive", address="Documents", host="contoso-my.sharepoint.com"
    )
    library.put("mine.txt", b"x")
    assert paths(world.provider("/personal/user_contoso_com", site_id="root").list_pages()) == ["mine.txt"]


def test_a_user_without_a_site_reads_the_own_onedrive(world):
    world.graph.onedrive.put("mine.txt", b"x")
    config = SharePointConfig.model_validate(world.graph.provider_config(delegated=True))
    assert paths(from_connection(config, "/").list_pages()) == ["mine.txt"]


def test_an_application_without_a_site_is_told_to_name_one(world):
    config = SharePointConfig.model_validate(world.graph.provider_config())
    with pytest.raises(ConfigurationError, match=r"site_id: nothing is given, .* has no OneDrive of its own"):
        from_connection(config, "/").check()


@pytest.mark.parametrize(
    ("settings", "path", "sentence"),
    [
        ({"site_id": "root"}, "/sites/Nowhere", r"source_path: the site /sites/Nowhere does not exist"),
        ({"site_id": "root"}, "/sites/Legal/Nowhere", r"the library Nowhere does not exist in the site /sites/Legal; "),
        (
            {"site_id": "root"},
            "/sites/Legal/Cases/no/where",
            r"the folder no/where in the library Cases does not exist",
        ),
        ({"site_id": "https://contoso.sharepoint.com/sites/No"}, "/", r"the site https://contoso.* does not exist"),
        ({"drive_id": "b!wrong"}, "/", r"the library b!wrong does not exist"),
    ],
)
def test_what_does_not_exist_is_named(legal, settings, path, sentence):
    with pytest.raises(PathNotFound, match=sentence):
        legal.provider(path, **settings).check()


def test_the_libraries_that_there_are_are_told(legal):
    with pytest.raises(PathNotFound, match="its libraries are: Archive, Cases, Contracts, Documents"):
        legal.provider("/sites/Legal/Nowhere", site_id="root").check()


def test_a_file_is_no_source_path(world):
    world.put("a/file.txt", b"x")
    with pytest.raises(ConfigurationError, match=r"a/file\.txt is a file; give the folder that holds it"):
        world.provider("a/file.txt").check()


def test_a_site_that_was_not_granted_is_said(legal):
    legal.graph.sign_in.roles = ("Sites.Selected",)
    legal.graph.locked_sites.add("sites/Legal")
    with pytest.raises(
        AccessDenied, match=r"may not read the site /sites/Legal .*it has Sites\.Selected.* the role read"
    ):
        legal.provider("/sites/Legal", site_id="root").check()


def test_settings_that_are_not_accepted_are_named(world):
    config = world.graph.provider_config(site_id="root")
    with pytest.raises(InvalidInput, match="folder_path: a:b is not accepted; give a folder such as"):
        from_connection(SharePointConfig.model_validate(config | {"folder_path": "a:b"}), "/")
    with pytest.raises(InvalidInput, match="source_path"):
        from_connection(SharePointConfig.model_validate(config), "/sites")
    with pytest.raises(InvalidInput, match="provider_filters: prefix is not accepted; give none"):
        from_connection(SharePointConfig.model_validate(config), "/", provider_filters={"prefix": "x"})
    keys = {"type": "access_key", "access_key_id": "a", "secret_access_key": "b"}
    with pytest.raises(ConfigurationError, match="provider_type: s3 is not accepted here; give sharepoint"):
        from_connection(S3Config.model_validate({"credentials": keys}), "/")


def test_making_a_provider_sends_nothing_and_shows_no_secret(world):
    provider = world.provider()
    assert world.graph.count() == 0
    from mixsync_dagster.providers.sharepoint.factory import settings_for

    config = SharePointConfig.model_validate(world.graph.provider_config(delegated=True, site_id="root"))
    settings = settings_for(config, "/")
    assert settings.client_secret not in repr(settings)
    assert settings.refresh_token not in repr(settings)
    assert provider.capabilities.change_feed
