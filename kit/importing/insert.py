"""New entries put into the text of a kit.yaml, every other character left as it stands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kit.errors import ConfigError
from kit.importing.written import section_text
from kit.written_yaml import parse_yaml

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, SequenceNode

Edit = tuple[int, str]
"""Where in the text, and what is put in there."""


def merged(base: dict[str, Any], sections: dict[str, Any]) -> dict[str, Any]:
    """Return a document with new entries in its sections."""
    found = dict(base)
    for name, section in sections.items():
        there = found.get(name)
        if isinstance(section, list):
            found[name] = [*(there or []), *section]
        elif name == "packages":
            found[name] = merged(there or {}, section)
        else:
            found[name] = {**(there or {}), **section}
    return found


def insert(text: str, sections: dict[str, Any]) -> str | None:
    """Return the text with new entries in it; None when that cannot be done without touching the rest."""
    import yaml

    newline = "\r\n" if "\r\n" in text else "\n"
    try:
        base = parse_yaml(text, "")
        root = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(base, dict) or not isinstance(root, yaml.MappingNode) or root.flow_style:
            return None
        found = text
        edits = sorted(_edits(text, root, sections), key=lambda edit: edit[0])
        # From the end, so that places stay true; of two at one place the later one first.
        for place, addition in reversed(edits):
            found = found[:place] + addition.replace("\n", newline) + found[place:]
        # The proof: read again, it says what it said and what was to be added, and nothing else.
        return found if parse_yaml(found, "") == merged(base, sections) else None
    except (ConfigError, yaml.YAMLError):
        return None


def _edits(text: str, root: MappingNode, sections: dict[str, Any]) -> list[Edit]:
    values = {key.value: value for key, value in root.value}
    edits: list[Edit] = []
    absent = []
    for name, section in sections.items():
        node = values.get(name)
        if node is None:
            absent.append(section_text(name, section))
        else:
            edits += _into(text, node, name, section)
    if absent:
        lead = "" if not text or text.endswith("\n") else "\n"
        edits.append((len(text), lead + "".join(f"\n{part}" for part in absent)))
    return edits


def _into(text: str, node: Node, name: str, section: Any) -> list[Edit]:
    import yaml

    if isinstance(node, yaml.SequenceNode) and isinstance(section, list) and node.value:
        return [_into_list(text, node, section)]
    if not isinstance(node, yaml.MappingNode) or not isinstance(section, dict) or not node.value:
        raise ConfigError("this section cannot be added to", where=name)
    there = {key.value: value for key, value in node.value}
    edits = []
    for key, value in section.items():
        if key in there:
            edits += _into(text, there[key], key, value)
    new = {key: value for key, value in section.items() if key not in there}
    return [*edits, _into_mapping(text, node, name, new)] if new else edits


def _into_list(text: str, node: SequenceNode, items: list[Any]) -> Edit:
    if node.flow_style:
        return _before_close(text, node, ", ".join(_flow(item) for item in items))
    lines = "".join(f"{' ' * node.start_mark.column}- {_flow(item)}\n" for item in items)
    return _after(text, node, lines)


def _into_mapping(text: str, node: MappingNode, name: str, entries: dict[str, Any]) -> Edit:
    if node.flow_style:
        return _before_close(text, node, _flow(entries)[1:-1])
    width = node.value[0][0].start_mark.column
    block = section_text(name, entries).partition("\n")[2]
    lines = [line[2:] for line in block.splitlines()]
    return _after(text, node, "".join(f"{' ' * width}{line}\n" if line else "\n" for line in lines))


def _flow(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1 << 30)
    return text.removesuffix("\n").removesuffix("\n...")


def _before_close(text: str, node: Node, addition: str) -> Edit:
    end = node.end_mark.index - 1
    inside = text[node.start_mark.index + 1 : end].rstrip()
    place = node.start_mark.index + 1 + len(inside)
    return place, f" {addition}" if inside.endswith(",") else f", {addition}"


def _after(text: str, node: Node, lines: str) -> Edit:
    end = _end(node)
    if end and text[end - 1] == "\n":
        return end, lines
    place = text.find("\n", end)
    return (len(text), f"\n{lines}") if place < 0 else (place + 1, lines)


def _end(node: Node) -> int:
    """Return where a node's last character stands; a block's own mark lies behind comments that follow it."""
    import yaml

    end: int = node.end_mark.index
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(node, yaml.MappingNode):
            return max(_end(last[1]), int(last[0].end_mark.index))
        return _end(last)
    return end
