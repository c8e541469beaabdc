"""Sections of kit.yaml as text. Pure."""

from __future__ import annotations

from typing import Any

from kit.errors import ConfigError, KitError
from kit.written_yaml import parse_yaml

_WIDTH = 110


def section_text(name: str, section: Any) -> str:
    """Return one section as YAML, each entry but a job on a line. Raises KitError on a bug."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes lists of plain values in one line, and no anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    def short(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
        flat = not any(isinstance(item, dict | list) for item in items)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)

    Plain.add_representer(list, short)
    # Leaf mappings in braces suit a model or a host; a job's arguments are for reading, one on a line.
    style = False if name == "jobs" else None
    for readable in (True, False):
        # PyYAML writes a few letters (U+0085) so that it reads others; as escapes all of them survive.
        text = yaml.dump(
            {name: section},
            Dumper=Plain,
            sort_keys=False,
            allow_unicode=readable,
            width=_WIDTH,
            default_flow_style=style,
        )
        if _reads(text, name) == {name: section}:
            return text
    raise KitError("the written section is not the one that was meant", where=name)


def _reads(text: str, name: str) -> Any:
    try:
        return parse_yaml(text, name)
    except ConfigError:
        return None


def project_text(stack: str, sections: dict[str, Any], remarks: tuple[str, ...]) -> str:
    """Return a whole kit.yaml with what is to be filled in as comments above it."""
    lines = [f"# to fill in: {' '.join(remark.split())}" for remark in remarks]
    head = "".join(f"{_printable(line)}\n" for line in lines)
    parts = [section_text(name, section) for name, section in sections.items()]
    return f"{head}version: 1\nstack: {stack}\n\n" + "\n".join(parts)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line)
