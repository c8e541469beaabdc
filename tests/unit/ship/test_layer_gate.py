from __future__ import annotations

import threading
from collections.abc import Mapping

from kit.ship.engine.layer_gate import LayerGate

LAYERS = tuple("sha256:" + letter * 64 for letter in "abcde")
SIZES = dict.fromkeys(LAYERS, 10)


def goes(gate: LayerGate, layer: str, count: int = 10) -> bool:
    """Whether so many bytes of the layer may be served within a moment."""
    thread = threading.Thread(target=gate.wait, args=(layer, count), daemon=True)
    thread.start()
    thread.join(0.05)
    return not thread.is_alive()


def roomy(sizes: Mapping[str, int], limit: int) -> LayerGate:
    """A gate that looks at the room alone."""
    return LayerGate(sizes, limit, lull=0)


def test_as_many_layers_are_under_way_as_there_is_to_be_room_for() -> None:
    gate = roomy(SIZES, 29)
    assert [goes(gate, layer) for layer in LAYERS] == [True, True, False, False, False]


def test_a_layer_comes_as_far_as_there_is_room() -> None:
    gate = roomy(SIZES, 24)
    assert [goes(gate, LAYERS[2], count) for count in (1, 4, 5)] == [True, True, False]
    assert not goes(gate, LAYERS[3], 1)
    gate.finished("a" * 12)
    assert [goes(gate, LAYERS[3], count) for count in (4, 5)] == [True, False]


def test_an_unpacked_layer_lets_the_next_one_go() -> None:
    gate = roomy(SIZES, 20)
    gate.finished("a" * 12)
    assert [goes(gate, layer) for layer in LAYERS] == [True, True, True, False, False]


def test_a_layer_larger_than_the_room_waits_for_those_below() -> None:
    gate = LayerGate({**SIZES, LAYERS[1]: 100}, 20)
    assert [goes(gate, LAYERS[1], count) for count in (10, 11)] == [True, False]
    gate.finished("a" * 12)
    assert [goes(gate, LAYERS[1], count) for count in (11, 100)] == [True, True]
    assert not goes(gate, LAYERS[2], 1)


def test_a_waiting_layer_goes_as_soon_as_it_may() -> None:
    gate = LayerGate(SIZES, 20)
    thread = threading.Thread(target=gate.wait, args=(LAYERS[2], 10), daemon=True)
    thread.start()
    gate.finished("a" * 12)
    thread.join(5)
    assert not thread.is_alive()


def test_an_engine_that_got_all_below_and_never_reports_gets_everything_in_the_end() -> None:
    gate = LayerGate(SIZES, 20, patience=0.01)
    for layer in LAYERS[:4]:
        gate.passed(layer)
    assert goes(gate, LAYERS[4])


def test_patience_does_not_end_while_those_below_have_not_come() -> None:
    gate = LayerGate(SIZES, 20, patience=0.01)
    assert not goes(gate, LAYERS[4])


def test_nothing_waits_when_nobody_pulls_any_more() -> None:
    gate = LayerGate(SIZES, 20)
    gate.end()
    assert goes(gate, LAYERS[4])


def test_what_takes_no_room_waits_for_nothing() -> None:
    assert goes(LayerGate(dict.fromkeys(LAYERS, 0), 0), LAYERS[4])
    assert goes(LayerGate({}, 0), LAYERS[4])


def test_a_layer_waits_while_one_below_goes_out() -> None:
    gate = LayerGate(SIZES, 50, lull=5)
    assert goes(gate, LAYERS[1])
    assert goes(gate, LAYERS[0], 4)
    assert [goes(gate, layer) for layer in LAYERS[1:3]] == [False, False]
    assert goes(gate, LAYERS[0], 10)
    gate.passed(LAYERS[0])
    assert [goes(gate, layer) for layer in LAYERS[1:3]] == [True, False]


def test_a_layer_waits_for_none_below_that_nobody_asked_for() -> None:
    assert goes(LayerGate(SIZES, 50, lull=5), LAYERS[3])


def test_a_layer_does_not_wait_for_one_that_stands_still() -> None:
    gate = LayerGate(SIZES, 50, lull=0.02)
    assert goes(gate, LAYERS[0], 4)
    assert goes(gate, LAYERS[1])
