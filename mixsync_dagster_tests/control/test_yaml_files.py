import pytest

from mixsync_dagster.control.yaml_files import load_definitions, load_text
from mixsync_dagster.errors import InvalidInput

WRONG = {
    "a bracket that is not closed": (
        "syncs:\n  a: [b\n",
        "f.yaml:3:1: the YAML cannot be read: expected ',' or ']', but got '<stream end>'.",
    ),
    "a tab": (
        "syncs:\n\ta: 1\n",
        "f.yaml:2:1: the YAML cannot be read: found character '\\t' that cannot start any token.",
    ),
    "a key given twice": (
        "syncs:\n  a:\n    x: 1\n    x: 2\n",
        "f.yaml:4: syncs.a.x is given twice; its first place is line 3.",
    ),
    "a name given twice": (
        "syncs:\n  a: {}\n  a: {}\n",
        "f.yaml:3: syncs.a is given twice; its first place is line 2.",
    ),
    "a name in two documents": (
        "syncs:\n  a: {}\n---\nsyncs:\n  a: {}\n",
        "f.yaml:5: syncs.a is defined twice; its first place is f.yaml:2.",
    ),
    "an unknown section": (
        "sync:\n  a: {}\n",
        "f.yaml:1: sync is not a known key; the accepted keys are connections, buckets, syncs.",
    ),
    "a list": (
        "- a\n",
        "f.yaml:1: the file is not accepted; give a mapping with the keys connections, buckets, syncs.",
    ),
    "a section that is a list": (
        "buckets: []\nsyncs:\n- a\n",
        (
            "f.yaml:1: buckets is not accepted; give a mapping of names to definitions.\n"
            "f.yaml:2: syncs is not accepted; give a mapping of names to definitions."
        ),
    ),
    "an alias of what it is part of": ("syncs: &a\n  b: *a\n", "f.yaml:1: an alias refers to what it is part of."),
    "a control character": ("syncs:\n  a: \x07\n", "f.yaml:2: the character U+0007 is not allowed in YAML."),
    "a key that is a list": ("? [a]\n: b\n", "f.yaml:1: a key must be text."),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_no_set_of_definitions_is_told_with_its_line(case):
    text, sentence = WRONG[case]
    with pytest.raises(InvalidInput) as refused:
        load_text(text, file="f.yaml")
    assert str(refused.value) == sentence


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory():
    levels = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 8))
    with pytest.raises(InvalidInput, match="expands to more than 500000 values"):
        load_text(f"syncs:\n  a0: &a0 [x]\n{levels}")


def test_deep_nesting_is_refused():
    with pytest.raises(InvalidInput, match="nested too deeply"):
        load_text("[" * 5000)


def test_no_python_object_is_made():
    found = load_text("syncs:\n  a: {b: !!python/object/apply:os.system ['true']}\n")
    assert found.syncs["a"].data == {"b": ["true"]}


def test_a_date_stays_text_and_numbers_become_numbers():
    found = load_text("syncs:\n  a: {since: 2024-01-31, every: 60, on: true, none: ~}\n")
    assert found.syncs["a"].data == {"since": "2024-01-31", "every": 60, "on": True, "none": None}


def test_merge_keys_give_defaults():
    found = load_text("syncs:\n  a: &a {x: 1, y: 2}\n  b: {<<: *a, y: 3}\n")
    assert found.syncs["b"].data == {"x": 1, "y": 3}


def test_empty_files_and_sections_define_nothing():
    assert list(load_text("")) == []
    assert list(load_text("connections:\nsyncs:\n")) == []


def test_lines_are_those_of_keys_and_elements():
    definition = load_text("# a comment\nsyncs:\n  a:\n    filters:\n      - x\n      - y\n").syncs["a"]
    assert definition.line_of() == 3
    assert definition.line_of(("filters", 1)) == 6
    assert definition.line_of(("filters", 1, "deeper")) == 6
    assert definition.line_of(("absent",)) == 3


def test_a_folder_is_read_as_one_set_without_hidden_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.yaml").write_text("buckets:\n  one: {}\n")
    (tmp_path / "sub" / "s.yml").write_text("syncs:\n  two: {}\n")
    (tmp_path / ".hidden.yaml").write_text("syncs:\n  three: {}\n")
    (tmp_path / "notes.txt").write_text("no YAML")
    found = load_definitions([tmp_path])
    assert [definition.where for definition in found] == ["buckets.one", "syncs.two"]


def test_a_file_named_twice_is_read_once(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("syncs:\n  a: {}\n")
    assert list(load_definitions([file, tmp_path]).syncs) == ["a"]


def test_a_name_in_two_files_is_told_with_both_places(tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("syncs:\n  a: {}\n")
    with pytest.raises(InvalidInput) as refused:
        load_definitions([tmp_path])
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert str(refused.value) == f"{second}:2: syncs.a is defined twice; its first place is {first}:2."


def test_problems_of_all_files_are_told_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("syncs: [\n")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidInput) as refused:
        load_definitions([tmp_path])
    assert [problem.field for problem in refused.value.problems] == [str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]


def test_a_path_that_does_not_exist_and_a_folder_without_files_are_told(tmp_path):
    with pytest.raises(InvalidInput, match="absent is not accepted; give a YAML file or a folder that exists"):
        load_definitions([tmp_path / "absent"])
    with pytest.raises(InvalidInput, match="a folder without YAML files is not accepted"):
        load_definitions([tmp_path])
