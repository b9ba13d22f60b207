import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.buckets import BucketSchema, SchemaType
from mixsync_dagster.model.mapping import SchemaMapping
from mixsync_dagster.model.schema_fit import check_mapping_fills, check_no_defaults
from mixsync_dagster.model.validation import parse

FILE = {"target_type": "blob", "source": {"type": "file"}}
TEXT_SOURCES = {
    "tag": {"type": "tag", "key": "a"},
    "metadata": {"type": "metadata", "key": "a"},
    "filename_regex": {"type": "filename_regex", "pattern": "(a)"},
    "folder_path": {"type": "folder_path"},
}
TEXTS = [SchemaType.STRING, SchemaType.DATE, SchemaType.DATETIME]
CONSTANTS = {
    "string": ("a", 1, "text"),
    "number": (1.5, "1", "a number"),
    "integer": (2, 2.5, "a whole number"),
    "float": (2, True, "a number"),
    "boolean": (False, 0, "true or false"),
    "object": ({"a": 1}, [], "a mapping"),
    "array": ([1], {}, "a list"),
    "date": ("2024-01-31", "31.1.2024", "an ISO 8601 date, e.g. 2024-01-31"),
    "datetime": ("2024-01-31T09:00:00Z", 5, "an ISO 8601 date and time, e.g. 2024-01-31T09:00:00Z"),
}


def entry(source, **more):
    return {"target_type": "field", "source": source, **more}


def constant(value, **more):
    return entry({"type": "constant", "value": value}, **more)


def problems(properties, mappings):
    """What is wrong with a mapping for a bucket of these properties."""
    schema = parse(BucketSchema, {"properties": properties})
    mapping = parse(SchemaMapping, {"mappings": mappings})
    try:
        check_mapping_fills(mapping, schema, bucket="b", where="m")
    except InvalidInput as error:
        return [problem.message for problem in error.problems]
    return []


def test_a_mapping_that_fills_its_schema_is_accepted():
    properties = {"clip": {"type": "video", "required": True}, "year": {"type": "string"}, "rest": {"type": "array"}}
    assert problems(properties, {"clip": FILE, "year": entry(TEXT_SOURCES["tag"], transform="trim")}) == []


def test_a_name_that_the_schema_does_not_have_is_refused_with_those_it_has():
    properties = {"year": {"type": "integer"}, "clip": {"type": "video"}, "author": {"type": "string"}}
    assert problems(properties, {"yaer": constant(1)}) == [
        (
            "m.mappings.yaer: yaer is not accepted, for the schema of bucket b has no such property; give one of "
            "author, year."
        )
    ]
    assert problems({"clip": {"type": "video"}}, {"yaer": constant(1)}) == [
        "m.mappings.yaer: yaer is not accepted, for the schema of bucket b has no such property; give no such entry."
    ]


@pytest.mark.parametrize("source", sorted(TEXT_SOURCES))
@pytest.mark.parametrize("kind", [kind for kind in SchemaType if not kind.is_blob])
def test_text_fills_text_only_unless_it_is_parsed(source, kind):
    told = problems({"x": {"type": kind.value}}, {"x": entry(TEXT_SOURCES[source])})
    assert (told == []) == (kind in TEXTS)
    if told:
        reason = f"{source} gives text and x is of type {kind} in the schema of bucket b"
        assert told == [f"m.mappings.x.transform: none is not accepted, for {reason}; give json_parse."]
    assert problems({"x": {"type": kind.value}}, {"x": entry(TEXT_SOURCES[source], transform="json_parse")}) == []


@pytest.mark.parametrize("source", [{"type": "column", "name": "a"}, {"type": "drive_property", "key": "a"}])
def test_what_only_the_source_knows_is_not_judged(source):
    assert problems({"x": {"type": "integer"}}, {"x": entry(source)}) == []


@pytest.mark.parametrize("kind", sorted(CONSTANTS))
def test_a_constant_has_the_type_of_its_property(kind):
    fitting, other, accepted = CONSTANTS[kind]
    assert problems({"x": {"type": kind}}, {"x": constant(fitting)}) == []
    told = problems({"x": {"type": kind}}, {"x": constant(other)})
    assert len(told) == 1
    assert told[0].startswith("m.mappings.x.source.value: ")
    assert told[0].endswith(f" is not accepted, for x is of type {kind} in the schema of bucket b; give {accepted}.")


def test_no_value_is_accepted_where_none_is_required():
    assert problems({"x": {"type": "integer"}}, {"x": constant(None)}) == []
    assert len(problems({"x": {"type": "integer", "required": True}}, {"x": constant(None)})) == 1


def test_a_constant_that_is_parsed_is_not_judged():
    assert problems({"x": {"type": "integer", "enum": [5]}}, {"x": constant("5", transform="json_parse")}) == []


def test_a_constant_is_one_of_the_listed_values():
    properties = {"x": {"type": "string", "enum": ["a", "b"]}}
    assert problems(properties, {"x": constant("a")}) == []
    assert problems(properties, {"x": constant("c")}) == [
        (
            "m.mappings.x.source.value: c is not accepted, for the schema of bucket b lists the values of x; give "
            "one of a, b."
        )
    ]
    assert problems(properties, {"x": constant("A", transform="lowercase")}) == []
    assert problems(properties, {"x": entry(TEXT_SOURCES["tag"])}) == []


def test_the_inside_of_a_constant_is_compared_too():
    wanted = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "age": {"type": "integer", "required": True},
            "clip": {"type": "video"},
        },
    }
    told = problems({"x": wanted}, {"x": constant({"tags": ["a", 2], "clip": "u", "free": 1})})
    assert [sentence.split(" is not accepted")[0] for sentence in told] == [
        "m.mappings.x.source.value.tags.1: 2",
        "m.mappings.x.source.value.age: null",
        "m.mappings.x.source.value.clip: u",
    ]
    assert problems({"x": wanted}, {"x": constant({"tags": ["a"], "age": 3})}) == []


def test_a_field_cannot_fill_a_blob_nor_a_blob_a_field():
    assert problems({"x": {"type": "video"}}, {"x": constant(1)}) == [
        "m.mappings.x.target_type: field is not accepted, for x is of type video in the schema of bucket b; give blob."
    ]
    assert problems({"x": {"type": "string"}, "clip": {"type": "video"}}, {"x": FILE}) == [
        (
            "m.mappings.x.blob_property: x is not accepted, for the schema of bucket b has no blob of that name; give "
            "one of clip."
        )
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, None),
        ({"blob_type": "video"}, None),
        ({"mime_type_override": "video/mp4"}, None),
        ({"mime_type_override": "application/mp4"}, None),
        (
            {"blob_type": "image"},
            (
                "m.mappings.x.blob_type: image is not accepted, for clip is of type video in the schema of bucket b; "
                "give video or auto."
            ),
        ),
        (
            {"mime_type_override": "Image/jpeg"},
            (
                "m.mappings.x.mime_type_override: Image/jpeg is not accepted, for clip is of type video in the schema "
                "of bucket b; give a MIME type of video."
            ),
        ),
    ],
)
def test_a_blob_has_the_type_of_its_property(more, sentence):
    told = problems({"clip": {"type": "video"}}, {"x": {**FILE, "blob_property": "clip", **more}})
    assert told == ([] if sentence is None else [sentence])


def test_what_is_required_needs_an_entry():
    properties = {"clip": {"type": "video", "required": True}, "year": {"type": "string", "required": True}}
    assert problems(properties, {"other": {**FILE, "blob_property": "clip"}}) == [
        "m.mappings.year is missing; give a field entry, for the schema of bucket b requires year."
    ]
    assert problems(properties, {"year": constant("2024")}) == [
        "m.mappings.clip is missing; give a blob entry, for the schema of bucket b requires clip."
    ]


def test_defaults_are_refused_wherever_they_stand():
    schema = parse(
        BucketSchema,
        {
            "properties": {
                "a": {"type": "integer", "default": 3},
                "b": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"c": {"type": "string", "default": ""}}},
                },
                "d": {"type": "string"},
            }
        },
    )
    with pytest.raises(InvalidInput) as refused:
        check_no_defaults(schema, where="s")
    assert [problem.field for problem in refused.value.problems] == [
        "s.properties.a.default",
        "s.properties.b.items.properties.c.default",
    ]
    assert str(refused.value).splitlines()[0] == (
        "s.properties.a.default: 3 is not accepted; give no default: an embedded bucket fills in none, a mapping with "
        "a constant does."
    )
