"""Command lines out of a shell script, read and never run. Pure.

Quotes, line continuations, comments, `NAME=value` and `export NAME=value` are understood as a POSIX shell
does, arrays as bash does; `$NAME` stands for what the same text assigned to it. What only a running shell
could tell stays in the words as it was written, and is named in `unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(?:(\w+)|\{(\w+)(?:\[[@*]\])?(?::?[-=]([^{}]*))?\}|([@*#?$!]))")
_EXPORTS = ("export", "declare", "typeset", "readonly", "local")
_LEADS = ("then", "do", "else", "{", "}", "!", "$", "if", "while", "elif", "time")
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a script, or of the command line that kit was given."""

    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    """Variables that it would be started with, as far as the text sets them."""
    line: int = 1
    unknown: tuple[str, ...] = ()
    """What stays as it was written up to this command, `$HOME` for example."""


def split_assignments(words: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables that stand before a command, and the command."""
    rest = list(words)
    env = {}
    while rest and (found := _ASSIGNMENT.fullmatch(rest[0])):
        env[found[1]] = found[2]
        rest.pop(0)
    return env, tuple(rest)


def read_commands(text: str, where: str = "") -> tuple[Command, ...]:
    """Return the commands of a script, in their order. Raises ConfigError for a quote without an end."""
    return _Reader(text.replace("\r\n", "\n"), where).read()


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.at = text, where, 0
        self.commands: list[Command] = []
        self.variables: dict[str, tuple[str, ...]] = {"PWD": (".",)}
        self.exported: set[str] = set()
        self.words: list[str] = []
        self.word: str | None = None
        self.quoted = False
        self.unknown: list[str] = []
        self.array: tuple[str, list[str]] | None = None
        self.skips_word = False
        self.here: list[str] = []
        self.started = 1

    def read(self) -> tuple[Command, ...]:
        while self.at < len(self.text):
            char = self.text[self.at]
            step = _STEPS.get(char)
            if step is None:
                self.add(char)
                self.at += 1
            else:
                step(self)
        self.end_command()
        return tuple(self.commands)

    def add(self, text: str) -> None:
        if self.word is None and not self.words:
            self.started = self.text.count("\n", 0, self.at) + 1
        self.word = (self.word or "") + text

    def end_word(self) -> None:
        word, self.word = self.word, None
        quoted, self.quoted = self.quoted, False
        if word is None:
            return
        if self.skips_word:
            self.skips_word = False
        elif self.array is not None:
            self.array[1].append(word)
        elif self.words or quoted or word not in _LEADS:
            self.words.append(word)

    def end_command(self) -> None:
        self.end_word()
        if self.array is not None:
            raise ConfigError("a '(' has no ')'", where=self.where, fix="close it, or give the command alone")
        env, words = split_assignments(self.words)
        if words and words[0] in _EXPORTS:
            self.export(words[1:])
        elif words:
            known = {name: " ".join(self.variables[name]) for name in sorted(self.exported)}
            unknown = tuple(dict.fromkeys(self.unknown))
            command = Command(words, tuple({**known, **env}.items()), self.started, unknown)
            self.commands.append(command)
        else:
            self.variables.update({name: (value,) for name, value in env.items()})
        self.words = []

    def export(self, words: tuple[str, ...]) -> None:
        for word in words:
            name, sign, value = word.partition("=")
            if sign:
                self.variables[name] = (value,)
            if name in self.variables:
                self.exported.add(name)

    def blank(self) -> None:
        self.end_word()
        self.at += 1

    def newline(self) -> None:
        self.end_word()
        if self.array is None:
            self.end_command()
        self.at += 1
        while self.here:
            end = re.compile(rf"^\t*{re.escape(self.here.pop(0))}$", re.MULTILINE)
            found = end.search(self.text, self.at)
            self.at = found.end() if found else len(self.text)

    def comment(self) -> None:
        if self.word is not None:
            self.add("#")
            self.at += 1
            return
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following != "\n":
            self.add(following or "\\")
            self.quoted = True
        self.at += 2

    def single(self) -> None:
        end = self.text.find("'", self.at + 1)
        self.check_end(end, "'")
        self.quoted = True
        self.add(self.text[self.at + 1 : end])
        self.at = end + 1

    def check_end(self, end: int, mark: str) -> None:
        if end < 0:
            line = self.text.count("\n", 0, self.at) + 1
            raise ConfigError(
                f"a {mark} has no end", where=f"{self.where}, line {line}", fix="close the quote"
            )

    def double(self) -> None:
        start = self.at
        self.add("")
        self.quoted = True
        self.at += 1
        while self.text[self.at : self.at + 1] != '"':
            char = self.text[self.at : self.at + 1]
            if not char:
                self.at = start
                self.check_end(-1, '"')
            elif char == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                following = self.text[self.at + 1]
                self.add("" if following == "\n" else following)
                self.at += 2
            elif char in "$`":
                self.dollar(quoted=True) if char == "$" else self.backtick()
            else:
                self.add(char)
                self.at += 1
        self.at += 1

    def backtick(self) -> None:
        end = self.text.find("`", self.at + 1)
        self.check_end(end, "`")
        self.leave(self.text[self.at : end + 1])

    def leave(self, text: str) -> None:
        here = text.strip("$()` ") == "pwd"
        if not here:
            self.unknown.append(text)
        self.add("." if here else text)
        self.at += len(text)

    def dollar(self, *, quoted: bool = False) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "(":
            self.leave(self.text[self.at : self.closing(self.at + 1)])
        elif following == "'" and not quoted:
            self.at += 1
            self.ansi()
        elif found := _PARAMETER.match(self.text, self.at):
            self.parameter(found, quoted=quoted)
        else:
            self.add("$")
            self.at += 1

    def closing(self, start: int) -> int:
        depth = 0
        for place in range(start, len(self.text)):
            depth += {"(": 1, ")": -1}.get(self.text[place], 0)
            if depth == 0:
                return place + 1
        return len(self.text)

    def ansi(self) -> None:
        found = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL).match(self.text, self.at)
        self.check_end(found.end() if found else -1, "'")
        body = found[1] if found else ""
        self.quoted = True
        self.add(re.sub(r"\\(.)", lambda mark: _ESCAPES.get(mark[1], mark[0]), body, flags=re.DOTALL))
        self.at += len(body) + 2

    def parameter(self, found: re.Match[str], *, quoted: bool) -> None:
        name, default = found[1] or found[2] or "", found[3]
        values = self.variables.get(name)
        if values is None and default is None:
            self.leave(found[0])
            return
        self.at = found.end()
        if values is None:
            values = (str(default),)
        pieces = values if quoted else tuple(piece for value in values for piece in value.split())
        for index, piece in enumerate(pieces):
            if index:
                self.end_word()
            self.add(piece)
            self.quoted = quoted

    def separator(self) -> None:
        char = self.text[self.at]
        if char == "&" and self.text[self.at + 1 : self.at + 2] == ">":
            self.end_word()
            self.at += 1
            self.redirection()
            return
        opens = char == "(" and self.word is not None and self.word.endswith("=") and not self.words
        if opens and self.word is not None:
            self.array, self.word = (self.word[:-1], []), None
        elif char == ")" and self.array is not None:
            self.end_word()
            self.variables[self.array[0]] = tuple(self.array[1])
            self.array = None
        else:
            self.end_command()
        self.at += 1

    def redirection(self) -> None:
        if self.word is not None and self.word.isdigit() and not self.quoted:
            self.word = None
        self.end_word()
        document = re.compile(r"<<-?\s*(['\"]?)(\w+)\1").match(self.text, self.at)
        if document:
            self.here.append(document[2])
            self.at = document.end()
            return
        found = re.compile(r"[<>]+[&|]?").match(self.text, self.at)
        self.at = found.end() if found else self.at + 1
        self.skips_word = True


_STEPS: dict[str, Callable[[Any], None]] = {
    " ": _Reader.blank,
    "\t": _Reader.blank,
    "\n": _Reader.newline,
    "#": _Reader.comment,
    "\\": _Reader.escape,
    "'": _Reader.single,
    '"': _Reader.double,
    "$": _Reader.dollar,
    "`": _Reader.backtick,
    **dict.fromkeys(";&|()", _Reader.separator),
    **dict.fromkeys("<>", _Reader.redirection),
}
