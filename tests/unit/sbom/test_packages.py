from __future__ import annotations

import json

import pytest
from packageurl import PackageURL

from kit.sbom.distribution_packages import (
    apk_packages,
    copyright_licences,
    dpkg_packages,
    read_distribution,
)
from kit.sbom.npm_packages import npm_package
from kit.sbom.package import Distribution, Package, package_url
from kit.sbom.python_packages import python_package, python_runtime
from tests.unit.sbom.sbom_factories import COPYRIGHT, RELEASE, STATUS, metadata

DEBIAN = Distribution("debian", "12", "Debian GNU/Linux 12 (bookworm)")


def test_dpkg_lists_what_is_installed_and_nothing_else() -> None:
    assert [(item.name, item.version, item.architecture) for item in dpkg_packages(STATUS)] == [
        ("bash", "5.2.15-2+b7", "amd64"),
        ("libgcc-s1", "12.2.0-14", "amd64"),
    ]


def test_a_file_of_status_d_has_no_status() -> None:
    assert dpkg_packages("Package: tzdata\nVersion: 2024a\nArchitecture: all\n")[0].name == "tzdata"


def test_apk_tells_its_fields_apart_by_case() -> None:
    text = "C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\np:so:libc.musl\n\nP:half\n\n"
    assert apk_packages(text) == (Package("apk", "musl", "1.2.5-r0", ("MIT",), "x86_64"),)


def test_a_copyright_file_names_its_licences() -> None:
    assert copyright_licences(COPYRIGHT) == (
        "GPL-3.0-or-later",
        "GFDL-1.3-no-invariants-or-later OR MIT",
    )


def test_an_old_copyright_file_names_the_shared_texts() -> None:
    text = "On Debian systems see /usr/share/common-licenses/GPL-2, and `/usr/share/common-licenses/LGPL'."
    assert copyright_licences(text) == ("GPL-2", "LGPL")
    assert copyright_licences("") == ()


def test_the_distribution_is_read() -> None:
    assert read_distribution(RELEASE) == DEBIAN
    assert read_distribution("# nothing\n") is None


@pytest.mark.parametrize(
    ("lines", "licences"),
    [
        (("License-Expression: MIT OR Apache-2.0", "License: other"), ("MIT OR Apache-2.0",)),
        (("License-Expression: LicenseRef-Ours",), ("LicenseRef-Ours",)),
        (("License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"), ("BSD-3-Clause",)),
        (("License: BSD", "Classifier: License :: OSI Approved :: BSD License"), ("BSD License",)),
        (("License: NVIDIA Proprietary Software",), ("NVIDIA Proprietary Software",)),
        (
            ("License: Apache License", "                           Version 2.0, January 2004", "        "),
            ("Apache-2.0",),
        ),
        (
            (
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: ISC License (ISCL)",
            ),
            ("MIT", "ISC"),
        ),
        (("License: UNKNOWN",), ()),
        ((), ()),
    ],
)
def test_the_most_exact_word_for_a_licence_counts(lines: tuple[str, ...], licences: tuple[str, ...]) -> None:
    found = python_package(metadata("Some_Package", "1.0", *lines), "x.dist-info/METADATA")
    assert found == Package("pypi", "Some_Package", "1.0", licences, place="x.dist-info/METADATA")


def test_the_text_below_the_fields_of_metadata_is_no_field() -> None:
    found = python_package("Name: a\nVersion: 1\n\nLicense: MIT\n", "p")
    assert found is not None
    assert found.licences == ()


def test_metadata_without_a_name_is_no_package() -> None:
    assert python_package("Version: 1\n", "p") is None
    assert python_package("", "p") is None


def test_a_compiled_python_tells_its_version() -> None:
    found = python_runtime('#define PY_MAJOR_VERSION 3\n#define PY_VERSION      "3.11.9"\n', "p")
    assert found is not None
    assert package_url(found, None) == "pkg:generic/python@3.11.9"
    assert python_runtime("", "p") is None


@pytest.mark.parametrize(
    ("more", "licences"),
    [
        ({"license": "MIT"}, ("MIT",)),
        ({"license": "(MIT OR CC0-1.0)"}, ("(MIT OR CC0-1.0)",)),
        ({"license": {"type": "ISC", "url": "x"}}, ("ISC",)),
        ({"licenses": [{"type": "MIT"}, {"type": "Apache 2"}]}, ("MIT", "Apache-2.0")),
        ({"license": 3}, ()),
        ({}, ()),
    ],
)
def test_a_node_package_is_read(more: dict[str, object], licences: tuple[str, ...]) -> None:
    found = npm_package(json.dumps({"name": "@babel/core", "version": "7.1.0", **more}), "p")
    assert found == Package("npm", "@babel/core", "7.1.0", licences, place="p")


@pytest.mark.parametrize("text", ["", "[]", "null", '{"type": "module"}', '{"name": 1, "version": 2}'])
def test_what_names_no_node_package_is_none(text: str) -> None:
    assert npm_package(text, "p") is None


def test_half_a_character_is_no_reason_to_fail() -> None:
    found = npm_package('{"name": "a\\ud800", "version": "1\\udfff", "license": "\\ud800"}', "p")
    assert found is not None
    assert package_url(found, None) == "pkg:npm/a%3F@1%3F"


@pytest.mark.parametrize(
    ("package", "distribution", "url"),
    [
        (
            Package("deb", "libstdc++6", "12.2.0-14+deb12u1", architecture="amd64"),
            DEBIAN,
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        ),
        (
            Package("deb", "zlib1g", "1:1.2.13.dfsg-1", architecture="amd64"),
            None,
            "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64",
        ),
        (
            Package("apk", "musl", "1.2.5-r0", architecture="x86_64"),
            Distribution("alpine", "3.20.1", "Alpine"),
            "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1",
        ),
        (Package("pypi", "Foo_Bar.baz", "1.0+cu126"), DEBIAN, "pkg:pypi/foo-bar.baz@1.0%2Bcu126"),
        (Package("npm", "@babel/core", "7.1.0"), None, "pkg:npm/%40babel/core@7.1.0"),
    ],
)
def test_package_urls_are_those_of_the_specification(
    package: Package, distribution: Distribution | None, url: str
) -> None:
    assert package_url(package, distribution) == url
    assert PackageURL.from_string(url).to_string() == url
    assert PackageURL.from_string(url).version == package.version
