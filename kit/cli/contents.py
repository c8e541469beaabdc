"""Text of what a bundle holds and of what differs between two."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kit.cli.output import bytes_text, table

if TYPE_CHECKING:
    from kit.workflow.bundle_contents import BundleContents, PartContents, StoredFile
    from kit.workflow.compare import Difference, FileChange, PartChange

_SHOWN_LICENCES = 12
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_WIDTH = 77
"""Columns behind a branch, on a terminal of 80."""


def tree_lines(contents: BundleContents) -> Iterator[str]:
    """Yield a bundle's contents as a tree: parts, their pins, licences and files."""
    for part in contents.parts:
        yield ""
        yield f"{part.kind} {part.name}  {bytes_text(part.size)}  {part.reference}"
        yield from _branches(_part_lines(part))
    if contents.documents:
        yield ""
        yield "documents"
        files = ((bytes_text(file.size), _short(file.digest), file.name) for file in contents.documents)
        yield from _branches(list(table_body(files)))


def table_body(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows in aligned columns, without a head."""
    cells = list(rows)
    if cells:
        lines = table(("",) * len(cells[0]), cells)
        next(lines)
        yield from lines


def _branches(lines: list[str]) -> Iterator[str]:
    for place, line in enumerate(lines, 1):
        first, *more = _wrapped(line)
        yield f"{'└─' if place == len(lines) else '├─'} {first}"
        yield from (f"{'  ' if place == len(lines) else '│ '} {rest}" for rest in more)


def _wrapped(line: str) -> list[str]:
    """Return a line in pieces that fit a terminal, at blanks; columns stay as they are."""
    if len(line) <= _WIDTH:
        return [line]
    return textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _short(text: str) -> str:
    """Return a text with the beginnings of its digests alone; all of them is what --json is for."""
    return _DIGEST.sub(r"\1", text)


def _part_lines(part: PartContents) -> list[str]:
    lines = [f"pin {name}: {_short(value)}" for name, value in part.pins]
    if part.system:
        lines.append(f"distribution: {part.system}")
    if part.packages:
        lines.append("packages: " + ", ".join(f"{count} {kind}" for kind, count in part.packages))
    if part.unread:
        lines.append(f"packages that could not be read: {part.unread}")
    if part.licences:
        lines.append("licences: " + _licences(part))
    elif not part.described:
        lines.append("licences: not known, there is no bill of materials")
    rows = ((bytes_text(file.size), _short(file.digest), _file_name(part, file)) for file in part.files)
    return lines + list(table_body(rows))


def _file_name(part: PartContents, file: StoredFile) -> str:
    return f"layer, diffID {_short(file.name)}" if part.kind == "image" else file.name


def _licences(part: PartContents) -> str:
    shown = part.licences[:_SHOWN_LICENCES]
    text = ", ".join(f"{name} ({count})" if part.kind == "image" else name for name, count in shown)
    more = len(part.licences) - len(shown)
    return f"{text} and {more} more" if more else text


def difference_lines(difference: Difference) -> Iterator[str]:
    """Yield what changes from one bundle or lock to another, and what a host needs for it."""
    yield f"{difference.a} -> {difference.b}" + (": nothing changes" if difference.same else "")
    yield from (f"  {change.name}: {change.before} -> {change.after}" for change in difference.facts)
    for part in difference.parts:
        yield f"{part.kind} {part.name}: {part.change}"
        yield from (f"  {line}" for line in _part_changes(part))
    if difference.transfer is not None:
        need = difference.transfer
        whole = f"of {bytes_text(need.whole)} in all"
        yield f"a host that has the first needs {need.blobs} blobs, {bytes_text(need.size)} {whole}"
        if need.frames_size != need.size:
            yield f"  of these, {bytes_text(need.frames_size)} in frames that the first does not hold"


def _part_changes(part: PartChange) -> Iterator[str]:
    for value in part.values:
        yield f"{value.name}: {_short(value.before) or '(none)'} -> {_short(value.after) or '(none)'}"
    yield from table_body((item.kind, item.name, _step(item.before, item.after)) for item in part.packages)
    if part.kind == "image" and part.change == "changed" and not part.packages:
        yield "packages: " + ("the same" if part.packages_known else "not known, no bill of materials")
    yield from table_body((file.path, _file_step(file)) for file in part.files)


def _step(before: str, after: str) -> str:
    if before and after:
        return f"{before} -> {after}"
    return f"new, {after}" if after else f"gone, was {before}"


def _file_step(file: FileChange) -> str:
    if file.before is None:
        return f"new, {bytes_text(file.after or 0)}"
    if file.after is None:
        return f"gone, was {bytes_text(file.before)}"
    return f"changed, {bytes_text(file.before)} -> {bytes_text(file.after)}"
