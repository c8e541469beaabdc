from __future__ import annotations

import json
from importlib.resources import files

import pytest

from kit.sbom.licence import (
    classifier_licence,
    is_expression,
    known_licence,
    licence_of_text,
    shortened,
)
from kit.sbom.spdx import CLASSIFIERS, EXCEPTIONS, IDENTIFIERS, SPELLINGS


def test_every_identifier_is_one_of_the_official_list() -> None:
    listed = files("cyclonedx.schema").joinpath("_res/spdx.SNAPSHOT.schema.json").read_text(encoding="utf-8")
    official = set(json.loads(listed)["enum"])
    assert set(IDENTIFIERS) <= official
    assert set(EXCEPTIONS) <= official
    assert set(SPELLINGS.values()) <= set(IDENTIFIERS)
    assert all(name in IDENTIFIERS or " " in name for name in CLASSIFIERS.values())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MIT", "MIT"),
        ("  mit   license ", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("BSD 3-Clause License", "BSD-3-Clause"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("lgpl-2.1+", "LGPL-2.1-or-later"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT OR ISC) AND BSD-3-Clause", "(MIT OR ISC) AND BSD-3-Clause"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
        ("GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0"),
    ],
)
def test_words_for_a_licence_become_its_identifier(written: str, meant: str) -> None:
    assert known_licence(written) == meant
    assert known_licence(meant) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "BSD",
        "GPL",
        "see LICENSE",
        "MIT and something of our own",
        "MIT OR",
        "OR MIT",
        "(MIT",
        "MIT)",
        "MIT ISC",
        "(MIT) ISC",
        "MIT WITH ISC",
        "MIT WITH (ISC)",
        "() MIT",
        "MIT" * 1000,
    ],
)
def test_what_is_not_certain_is_not_guessed(written: str) -> None:
    assert known_licence(written) is None


def test_one_identifier_is_no_expression() -> None:
    assert is_expression("MIT OR ISC")
    assert not is_expression("MIT")
    assert not is_expression("NVIDIA Proprietary Software")


@pytest.mark.parametrize(
    ("classifier", "meant"),
    [
        ("License :: OSI Approved :: MIT License", "MIT"),
        ("License :: OSI Approved :: BSD License", "BSD License"),
        ("License :: Other/Proprietary License", "Other/Proprietary License"),
        ("License :: OSI Approved :: Apache Software License", "Apache Software License"),
    ],
)
def test_a_classifier_without_a_version_stays_a_name(classifier: str, meant: str) -> None:
    assert classifier_licence(classifier) == meant


MIT_TEXT = """Copyright (c) 2020 Someone

Permission is hereby granted, free of charge, to any person obtaining
a copy of this software ... to use, copy, modify, merge, publish, distribute"""
BSD_TEXT = """Redistribution and use in source and binary forms, with or without
modification, are permitted ... the above copyright notice, this list of conditions and"""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (MIT_TEXT, "MIT"),
        ("  Apache License\n  Version 2.0, January 2004\n", "Apache-2.0"),
        (BSD_TEXT, "BSD-2-Clause"),
        (BSD_TEXT + " Neither the name of", "BSD-3-Clause"),
        (BSD_TEXT + " All advertising materials", None),
        (BSD_TEXT + MIT_TEXT, None),
        ("GNU GENERAL PUBLIC LICENSE Version 3", None),
        ("", None),
    ],
)
def test_a_licence_is_told_by_its_text_only_when_it_is_certain(text: str, meant: str | None) -> None:
    assert licence_of_text(text) == meant


def test_a_whole_text_in_place_of_a_name_is_cut() -> None:
    assert shortened("\n  Our licence\x1b[31m\nwith much text") == "Our licence[31m"
    assert len(shortened("x" * 500)) == 120
