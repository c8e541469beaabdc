"""Scripts are read as a shell would, as far as that is possible without one."""

from __future__ import annotations

import pytest

from kit.errors import ConfigError
from kit.importing.shell_words import read_commands


def words_of(text: str) -> list[tuple[str, ...]]:
    return [command.words for command in read_commands(text, "run.sh")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run a 'b c' \"d e\"", ("run", "a", "b c", "d e")),
        ("run --a \\\n  b", ("run", "--a", "b")),
        ("run a#b # said", ("run", "a#b")),
        ("run 'it'\\''s $HOME'", ("run", "it's $HOME")),
        ('run "a \\"b\\" \\$c \\d"', ("run", 'a "b" $c \\d')),
        ("run $'a\\nb'", ("run", "a\nb")),
        ('run "数据 集"', ("run", "数据 集")),
        ("run ''", ("run", "")),
        ("run a > log 2>&1", ("run", "a")),
        ("run a &> log", ("run", "a")),
        ("$ run pasted", ("run", "pasted")),
        ("if run a", ("run", "a")),
        ("run <<EOF\nvllm serve x\nEOF\n", ("run",)),
        ("run --dir $PWD/x $(pwd)", ("run", "--dir", "./x", ".")),
    ],
)
def test_words_are_those_of_a_shell(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == [words]


def test_commands_end_at_lines_and_operators() -> None:
    assert words_of("a 1; b 2 && c 3 || d\ne 'x\ny' | tee log & f") == [
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d",),
        ("e", "x\ny"),
        ("tee", "log"),
        ("f",),
    ]


def test_assigned_names_are_put_in_and_exported_ones_go_along() -> None:
    text = 'export A=1 B="x y"\nN=8\nARGS="--n $N --m"\nC=3 run $ARGS "$B" ${D:-default}\n'
    (command,) = read_commands(text)
    assert command.words == ("run", "--n", "8", "--m", "x y", "default")
    assert dict(command.env) == {"A": "1", "B": "x y", "C": "3"}
    assert command.line == 4


def test_arrays_keep_their_words_apart() -> None:
    assert words_of("ARGS=(\n  --a 'b c' # said\n  --d\n)\nrun \"${ARGS[@]}\"") == [
        ("run", "--a", "b c", "--d")
    ]


def test_what_only_a_shell_knows_stays_and_is_named() -> None:
    (command,) = read_commands('run $RANK "$(hostname -i)" `id` ${X} $1')
    assert command.words == ("run", "$RANK", "$(hostname -i)", "`id`", "${X}", "$1")
    assert command.unknown == ("$RANK", "$(hostname -i)", "`id`", "${X}", "$1")


@pytest.mark.parametrize("text", ["run\nrun 'a", 'run "a', "run `a", "run $'a", "A=(a"])
def test_a_quote_without_an_end_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_commands(text, "run.sh")
    assert caught.value.where.startswith("run.sh")
    assert caught.value.fix
