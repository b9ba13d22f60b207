"""Whatever is given to any model: it is kept as it is, or refused in sentences that name the field."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.one_of_each import INPUTS, models
from mixsync_dagster_tests.model.samples import JSON_VALUES

MANY = settings(deadline=None, max_examples=100, database=None, phases=[Phase.generate])
LONGEST_SENTENCE = 1200
CHECKED_LATER = {("StorageConnectionUpdateRequest", "provider_config")}
"""Mappings that are read when it is known which provider's they are; until then nothing is known of their values."""


def nested(depth, kind):
    value = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


ODD_TEXT = st.sampled_from(["", " ", "\x00", "a\x00b", "\ud800", "a\udfffb", "x" * 5000, "\u202e", "{}", "1e9", "\n"])
ODD_NUMBERS = st.sampled_from(
    [0, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")]
)
ODD = (
    st.sampled_from([None, True, False, [], {}, [[]], [None], {"": 1}, {"\ud800": 1}, {"\x00": 1}])
    | ODD_TEXT
    | ODD_NUMBERS
    | st.builds(nested, st.sampled_from([2, 31, 40, 500]), st.sampled_from(["list", "dict"]))
    | st.lists(ODD_TEXT | ODD_NUMBERS, max_size=3)
    | st.dictionaries(ODD_TEXT, ODD_NUMBERS, max_size=2)
    | st.text(max_size=20)
    | JSON_VALUES
)


def places(value, path=()):
    """Yield the path of every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, element in inner:
        yield (*path, step)
        yield from places(element, (*path, step))


@st.composite
def changed_inputs(draw, value):
    """Return an accepted input in which one thing is odd, and the path to it."""
    changed = copy.deepcopy(value)
    paths = list(places(changed))
    if not paths or draw(st.integers(0, 30)) == 0:
        return draw(ODD), ()
    path = draw(st.sampled_from(paths))
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    kind = draw(st.sampled_from(["other", "other", "other", "absent", "more"]))
    if kind == "absent":
        del holder[path[-1]]
    elif kind == "more" and isinstance(holder, dict):
        key = draw(ODD_TEXT | st.just("colour"))
        holder[key] = draw(ODD)
        path = (*path[:-1], key)
    else:
        holder[path[-1]] = draw(ODD)
    return changed, path


def refusal(model, value):
    """Return the problems with an input; None for an accepted one, which is the same when written and read."""
    try:
        made = parse(model, value)
    except InvalidInput as error:
        return error.problems
    written = json.dumps(reveal(made), allow_nan=False, ensure_ascii=False).encode()
    assert parse(model, json.loads(written)) == made
    return None


def test_every_model_has_an_accepted_input():
    assert set(INPUTS) == set(models())
    assert len(INPUTS) > 50
    assert {name: refusal(model, INPUTS[name]) for name, model in models().items()} == dict.fromkeys(INPUTS)


@pytest.mark.parametrize("name", sorted(INPUTS))
@MANY
@given(data=st.data())
def test_what_is_odd_is_kept_or_refused_in_sentences(name, data):
    value, path = data.draw(changed_inputs(INPUTS[name]))
    if (name, *path[:1]) in CHECKED_LATER:
        return
    problems = refusal(models()[name], value)
    event("accepted" if problems is None else "refused")
    for problem in problems or ():
        # Keys that are themselves odd are told in another form.
        if problem.field.isprintable() and all(0 < len(step) < 30 for step in problem.field.split(".")):
            assert problem.message.startswith((f"{problem.field} ", f"{problem.field}:"))
        assert problem.message.endswith(".")
        assert problem.message.isprintable(), ascii(problem.message)
        assert len(problem.message) <= LONGEST_SENTENCE
        assert problem.accepted or ": " in problem.message
        assert "pydantic" not in problem.message
        assert "Error" not in problem.message
