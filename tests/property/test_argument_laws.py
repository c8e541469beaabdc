"""Laws of checking arguments: for a misspelt name one is offered that exists, as like it as the meant one.

Dashes and underscores name the same flag; every choice is taken and nothing else; any value has an answer.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.jobs.argument_table import Argument, load_table
from kit.jobs.argument_value import wrong_value
from kit.jobs.check_arguments import nearest_argument
from kit.jobs.serve_flags import flag_of

pytestmark = pytest.mark.property

FILES = {name: load_table(*name.split("-", 1)) or {} for name in ("llamafactory-0.9.3", "transformers-5.6.0")}
SERVERS = ("vllm-0.8.5.post1", "vllm-0.31.0", "sglang-0.4.6.post1")
FLAGS = {name: load_table(*name.split("-", 1)) or {} for name in SERVERS}
every = st.sampled_from([*FILES.values(), *FLAGS.values()])
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6))
values = st.one_of(
    plain, st.lists(plain, max_size=3), st.dictionaries(st.text(max_size=3), plain, max_size=2)
)


@settings(deadline=None)
@given(every, st.data())
def test_a_misspelt_name_is_offered_one_that_exists(table: dict[str, Argument], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(table)))
    at = data.draw(st.integers(0, len(name) - 1))
    doubled = data.draw(st.booleans())
    typed = name[:at] + (name[at] * 2 if doubled else "") + name[at + 1 :]
    assume(typed not in table)
    offered = nearest_argument(typed, table)
    found = next(each for each in table if each.replace("-", "_") == offered.replace("-", "_"))
    assert SequenceMatcher(None, found, typed).ratio() >= SequenceMatcher(None, name, typed).ratio()


@settings(deadline=None)
@given(st.sampled_from(sorted(FLAGS)), st.data())
def test_dashes_and_underscores_name_the_same_flag(server: str, data: st.DataObject) -> None:
    table = FLAGS[server]
    name = data.draw(st.sampled_from(sorted(table)))
    mixed = "".join(data.draw(st.sampled_from("-_")) if letter == "-" else letter for letter in name)
    assert flag_of(mixed, table) == table[name]


@settings(deadline=None)
@given(every, st.data())
def test_every_choice_is_taken_and_nothing_that_is_none_of_them(
    table: dict[str, Argument], data: st.DataObject
) -> None:
    argument = data.draw(st.sampled_from([each for each in table.values() if each.choices]))
    choice = data.draw(st.sampled_from(argument.choices))
    assert wrong_value(argument, choice) is None
    assert wrong_value(argument, f"{choice}~") is not None


@settings(deadline=None)
@given(every, st.data(), values)
def test_any_value_is_taken_or_refused_with_what_to_write(
    table: dict[str, Argument], data: st.DataObject, value: Any
) -> None:
    wrong = wrong_value(data.draw(st.sampled_from(list(table.values()))), value)
    assert wrong is None or (wrong[0] and wrong[2])
