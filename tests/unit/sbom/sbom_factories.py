"""Texts as images hold them, and the official schema."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from kit.sbom.layer_records import LayerObserver, LayerRecords

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.
 .
 Package: not-a-field

Package: old-settings
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14
"""
RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: bash

Files: *
Copyright: 1987-2022 Free Software Foundation, Inc.
License: GPL-3+

Files: doc/*
License: GFDL-NIV-1.3+ or Expat
 some text

License: GPL-3+
 This program is free software: you can redistribute it
"""


def metadata(name: str, version: str, *lines: str) -> str:
    return "\n".join(("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines, "", "Text"))


def observed(files: dict[str, str | bytes], links: dict[str, str] | None = None) -> LayerRecords:
    """What an observer makes of a layer with these files."""
    observer = LayerObserver()
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        if observer.wants(name, len(data)):
            observer.take(name, data)
    for name, target in (links or {}).items():
        observer.link(name, target)
    return observer.records


@cache
def _validator() -> Any:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6)


def schema_errors(document: bytes) -> Any:
    """Hold a document against the official schema of CycloneDX 1.6; None when it is valid."""
    json.loads(document)
    return _validator().validate_str(document.decode())
