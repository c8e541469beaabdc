from __future__ import annotations

import threading

from kit.ship.layer_gate import LayerGate, OpenGate

LAYERS = tuple("sha256:" + letter * 64 for letter in "abcde")


def goes(gate: LayerGate, layer: str) -> bool:
    """Whether the layer may be served within a moment."""
    thread = threading.Thread(target=gate.wait, args=(layer,), daemon=True)
    thread.start()
    thread.join(0.05)
    return not thread.is_alive()


def test_two_layers_are_under_way_at_once() -> None:
    gate = LayerGate(LAYERS)
    assert [goes(gate, layer) for layer in LAYERS] == [True, True, False, False, False]


def test_an_unpacked_layer_lets_the_next_one_go() -> None:
    gate = LayerGate(LAYERS)
    gate.finished("a" * 12)
    assert [goes(gate, layer) for layer in LAYERS] == [True, True, True, False, False]


def test_a_waiting_layer_goes_as_soon_as_it_may() -> None:
    gate = LayerGate(LAYERS)
    thread = threading.Thread(target=gate.wait, args=(LAYERS[2],), daemon=True)
    thread.start()
    gate.finished("a" * 12)
    thread.join(5)
    assert not thread.is_alive()


def test_an_engine_that_never_reports_gets_everything_in_the_end() -> None:
    gate = LayerGate(LAYERS, patience=0.01)
    assert goes(gate, LAYERS[4])


def test_a_containerd_store_waits_for_nothing() -> None:
    assert goes(OpenGate(), LAYERS[4])
