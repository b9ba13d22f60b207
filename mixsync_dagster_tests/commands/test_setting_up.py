from mixsync_dagster.commands.setting_up import public_url


def test_init_makes_everything_and_repeats_change_nothing(bare_home, mixsync):
    done = mixsync("init", "--json")
    assert (done.status, done.err) == (0, "")
    facts = done.lines[0]
    assert facts == {
        "home": str(bare_home),
        "state_store": f"sqlite:///{bare_home}/state.db",
        "secret_key": str(bare_home / "secret.key"),
        "blobs": str(bare_home / "blobs"),
        "dagster_home": str(bare_home / "dagster"),
    }
    assert (bare_home / "dagster" / "dagster.yaml").is_file()
    again = mixsync("init")
    assert again.status == 0
    assert f"export DAGSTER_HOME={bare_home}/dagster" in again.out
    assert mixsync("syncs").status == 0


def test_a_dagster_home_of_ones_own_is_prepared(bare_home, mixsync, monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "own"))
    assert mixsync("init", "--json").lines[0]["dagster_home"] == str(tmp_path / "own")
    assert (tmp_path / "own" / "dagster.yaml").is_file()


def test_before_init_every_command_says_what_to_do(bare_home, mixsync):
    done = mixsync("syncs")
    assert (done.status, done.err) == (
        2,
        f"mixsync: there is no mixsync home at {bare_home}; run `mixsync init`, or set MIXSYNC_HOME.\n",
    )


def test_a_database_url_is_shown_without_user_and_password():
    assert public_url("postgresql://u:hush@db:5432/name") == "postgresql://db:5432/name"
    assert public_url("sqlite:////srv/state.db") == "sqlite:////srv/state.db"
