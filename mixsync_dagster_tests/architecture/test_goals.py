"""Which tests show each goal of security: a goal without a test, and a test that is gone, are found here."""

import ast

import pytest

from mixsync_dagster_tests.architecture.source_tree import PACKAGE, modules

TESTS = PACKAGE.parent / "mixsync_dagster_tests"

GOALS = {
    "S1 no request leads to a 5xx or to a status that the document does not tell": (
        "api_fuzz/test_schemathesis.py::test_every_answer_is_one_that_the_document_tells_of",
        "api_fuzz/test_schemathesis.py::test_no_operation_is_left_out",
        "api_fuzz/test_odd_bodies.py::test_an_odd_body_is_taken_or_refused_in_sentences",
        "api/test_failures.py::test_bodies_and_lists_have_bounds",
        "api/test_failures.py::test_headers_have_bounds",
    ),
    "S2 nobody reaches what belongs to others": (
        "api/test_tenants.py::test_ids_of_another_organisation_are_absent",
        "api/test_tenants.py::test_what_is_in_a_bucket_or_sync_of_ones_own_is_not_what_is_in_others",
        "api/test_tenants.py::test_planted_holes_are_found",
        "api/test_interference.py::test_nothing_that_others_have_or_do_is_told",
        "api/test_interference.py::test_planted_holes_are_found",
        "api/test_interference.py::test_names_of_others_are_free",
        "control/test_namespaces.py::test_pruning_leaves_tenants_alone",
    ),
    "S3 a namespace narrows a key, and foreign ids are as absent ones": (
        "api/test_tenants.py::test_a_namespace_header_never_widens",
        "api/test_interference.py::test_a_foreign_id_is_told_in_the_words_for_one_that_is_not_there",
    ),
    "S4 keys are random, kept as peppered digests, compared in constant time, revoked at once, limited in their rate": (
        "control/test_keys.py::test_keys_differ",
        "control/test_keys.py::test_the_store_holds_neither_the_key_nor_a_digest_without_the_pepper",
        "control/test_keys.py::test_revoking_counts_at_once_and_for_one_key_only",
        "api/test_attacks.py::test_keys_are_compared_as_bytes_and_in_constant_time_whatever_is_wrong",
        "api/test_attacks.py::test_every_operation_asks_for_its_role",
        "control/test_rotating.py::test_api_keys_outlive_the_key",
    ),
    "S5 connections reach no inner address, whatever a name stands for": (
        "api/test_reach.py::test_an_inner_address_is_refused_at_its_field",
        "api/test_reach.py::test_a_name_that_stands_elsewhere_when_it_is_connected_to_is_refused",
        "api/test_reach.py::test_a_redirect_leads_nowhere",
        "api/test_reach.py::test_metadata_is_refused_to_everybody",
        "api/test_reach.py::test_a_role_is_not_assumed_for_strangers",
        "api/test_reach.py::test_kept_secrets_are_not_sent_to_another_host",
        "providers/google_drive/test_addresses.py::test_the_api_is_not_asked_elsewhere",
        "providers/sharepoint/test_addresses.py::test_nothing_is_asked_elsewhere",
        "providers/sharepoint/test_links.py::",
        "providers/snowflake/test_addresses.py::test_a_host_of_anybody_is_refused",
        "transport/test_addresses.py::test_nobody_is_connected_to_who_is_refused",
        "transport/test_guarded.py::test_every_redirect_is_judged_anew",
    ),
    "S6 names from outside are no paths": (
        "api/test_attacks.py::test_no_path_leads_out",
        "buckets/test_blob_folder.py::test_what_is_no_hash_names_no_file",
        "providers/s3/test_ugly_keys.py::test_every_ugly_key_is_listed_and_read_exactly",
        "api/test_blobs.py::test_names_and_types_from_the_source_do_not_reach_the_headers_as_they_are",
    ),
    "S7 patterns end": (
        "api/test_attacks.py::test_a_pattern_that_never_ends_elsewhere_ends_here",
        "api/test_attacks.py::test_a_pattern_beyond_the_bounds_is_refused",
        "api/test_attacks.py::test_globs_end_quickly",
        "transport/test_redact.py::test_no_text_takes_long",
    ),
    "S8 names in SQL cannot break out": (
        "providers/snowflake/test_columns.py::test_names_and_constants_cannot_break_out",
        "state/test_tenants.py::test_odd_ids_are_absent",
    ),
    "S9 no secret is told anywhere": (
        "api/test_canaries.py::test_no_secret_comes_back",
        "api/test_canaries.py::test_credentials_of_every_type_go_in_and_do_not_come_back",
        "api/test_canaries.py::test_dagster_tells_no_secret_of_runs_of_what_the_api_made",
        "api/test_canaries.py::test_a_planted_leak_is_found",
        "scenarios/test_secrets.py::test_no_secret_is_left_by_a_run_that_succeeds_nor_by_one_that_is_refused",
        "support/test_canaries.py::test_a_planted_leak_is_found_in_every_field",
    ),
    "S10 credentials are sealed for their owner, and their key is exchanged without loss": (
        "state/test_cipher.py::test_a_connection_moved_to_another_organisation_loses_its_credentials",
        "state/test_cipher.py::test_a_seal_opens_for_the_very_same_owner_only",
        "state/test_cipher.py::test_a_key_file_that_others_can_read_is_refused",
        "state/test_namespaces_migration.py::test_credentials_sealed_the_old_way_are_read_and_sealed_anew_by_a_write",
        "control/test_rotating.py::test_a_kill_between_any_two_loses_nothing",
    ),
    "S11 certificates are verified": (
        "providers/s3/test_tls.py::test_a_certificate_for_another_host_or_time_is_refused",
        "providers/sharepoint/test_tls.py::test_an_unknown_authority_is_not_told_the_secret",
        "transport/test_guarded.py::test_certificates_are_verified_by_the_bundle",
    ),
    "S12 no page of another site acts as its visitor": (
        "api/test_access.py::test_pages_of_other_sites_get_nothing_without_a_key",
        "api/test_attacks.py::test_no_other_site_may_read_answers_and_no_cookie_is_set",
    ),
    "S13 nothing is pickled": (
        "orchestration/test_parquet_io.py::test_anything_else_is_refused_and_never_pickled",
        "architecture/test_goals.py::test_no_module_can_pickle",
    ),
    "S14 dependencies are pinned": (
        "docs/test_dependencies.py::test_every_dependency_of_the_set_up_commands_is_pinned",
    ),
    "changes are recorded": (
        "api/test_recorded.py::test_every_operation_that_changes_something_is_recorded_once",
        "state/test_namespaces_migration.py::test_entries_of_the_audit_cannot_be_changed",
    ),
}


def defined(path):
    """Names of the tests in a file, those of classes too."""
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("goal", GOALS)
def test_a_goal_is_shown_by_tests_that_are_there(goal):
    assert GOALS[goal]
    for test in GOALS[goal]:
        file, _, name = test.partition("::")
        assert (TESTS / file).is_file(), test
        names = defined(TESTS / file)
        assert name in names if name else any(one.startswith("test_") for one in names), test


def test_every_goal_is_in_the_list():
    assert {goal.split()[0] for goal in GOALS} >= {f"S{number}" for number in range(1, 15)}


def test_no_module_can_pickle():
    loaders = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    found = [
        f"{module.path}:{line}: {name}"
        for module in modules()
        for name, line in module.imports()
        if name.split(".")[0] in loaders
    ]
    assert found == []
