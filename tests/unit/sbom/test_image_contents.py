from __future__ import annotations

import json

import pytest

from kit.sbom.image_contents import ImageContents, image_contents
from kit.sbom.layer_records import LARGEST, LayerObserver, LayerRecords
from kit.sbom.records_json import dump_records, parse_records
from tests.unit.sbom.sbom_factories import COPYRIGHT, RELEASE, STATUS, metadata, observed

SITE = "opt/kit/lib/python3.11/site-packages"
BASE = observed(
    {
        "./var/lib/dpkg/status": STATUS,
        "usr/lib/os-release": RELEASE,
        "usr/share/doc/bash/copyright": COPYRIGHT,
        "usr/share/doc/gcc-12-base/copyright": "see /usr/share/common-licenses/GPL-3.",
        "usr/lib/python3/dist-packages/six.egg-info": metadata("six", "1.16"),
        "bin/bash": b"\x7fELF",
    },
    links={"usr/share/doc/libgcc-s1": "gcc-12-base", "etc/os-release": "../usr/lib/os-release"},
)
TORCH = {f"{SITE}/torch-2.6.0.dist-info/METADATA": metadata("torch", "2.6.0", "License: BSD-3-Clause")}


def names(contents: ImageContents) -> list[str]:
    return [f"{package.name} {package.version}" for package in contents.packages]


def test_an_image_is_its_layers_laid_over_each_other() -> None:
    contents = image_contents((BASE, observed({**TORCH})))
    assert names(contents) == ["bash 5.2.15-2+b7", "libgcc-s1 12.2.0-14", "torch 2.6.0"]
    assert contents.distribution is not None
    assert contents.distribution.version == "12"


def test_a_debian_package_has_the_licences_of_its_copyright_file_also_behind_a_link() -> None:
    bash, gcc = image_contents((BASE,)).packages
    assert bash.licences[0] == "GPL-3.0-or-later"
    assert gcc.licences == ("GPL-3",)


def test_links_that_lead_in_a_circle_give_no_licence() -> None:
    links = {"usr/share/doc/bash": "libgcc-s1", "usr/share/doc/libgcc-s1": "bash"}
    contents = image_contents((observed({"var/lib/dpkg/status": STATUS}, links),))
    assert [package.licences for package in contents.packages] == [(), ()]


def test_the_database_of_the_upper_layer_counts() -> None:
    upper = observed({"var/lib/dpkg/status": STATUS.split("\n\n", 1)[0]})
    assert names(image_contents((BASE, upper))) == ["bash 5.2.15-2+b7"]


@pytest.mark.parametrize(
    "whiteout",
    [
        f"{SITE}/torch-2.6.0.dist-info/.wh.METADATA",
        f"{SITE}/.wh.torch-2.6.0.dist-info",
        "opt/.wh.kit",
        ".wh.opt",
        f"{SITE}/.wh..wh..opq",
        "opt/.wh..wh..opq",
        "./.wh..wh..opq",
    ],
)
def test_a_whiteout_takes_away_what_lower_layers_have(whiteout: str) -> None:
    assert "torch 2.6.0" in names(image_contents((observed({**TORCH}),)))
    assert names(image_contents((observed({**TORCH}), observed({whiteout: b""})))) == []


def test_a_whiteout_leaves_what_its_own_layer_brings() -> None:
    upper: dict[str, str | bytes] = {
        f"{SITE}/.wh..wh..opq": b"",
        f"{SITE}/torch-2.7.0.dist-info/METADATA": metadata("torch", "2.7.0"),
    }
    assert names(image_contents((observed({**TORCH}), observed({**upper})))) == ["torch 2.7.0"]


def test_a_whiteout_of_a_name_that_only_begins_alike_takes_nothing() -> None:
    upper = observed({f"{SITE}/.wh.torch-2.6.0": b"", f"{SITE}/.wh.torch-2.6.0.dist": b""})
    assert names(image_contents((observed({**TORCH}), upper))) == ["torch 2.6.0"]


def test_a_link_or_file_in_place_of_a_folder_hides_what_was_in_it() -> None:
    assert names(image_contents((observed({**TORCH}), observed({}, {SITE: "/elsewhere"})))) == []
    assert names(image_contents((observed({**TORCH}), observed({SITE: b"x"})))) == []


def test_a_python_package_without_a_named_licence_has_that_of_its_licence_file() -> None:
    text = "Apache License\nVersion 2.0, January 2004"
    layer = observed(
        {
            f"{SITE}/a-1.dist-info/METADATA": metadata("a", "1"),
            f"{SITE}/a-1.dist-info/licenses/LICENSE.txt": text,
            f"{SITE}/b-1.dist-info/METADATA": metadata("b", "1"),
        }
    )
    assert [package.licences for package in image_contents((layer,)).packages] == [("Apache-2.0",), ()]


def test_node_packages_are_those_directly_in_a_folder_of_modules() -> None:
    named = json.dumps({"name": "next", "version": "15.0", "license": "MIT"})
    layer = observed(
        {
            "app/node_modules/next/package.json": named,
            "app/node_modules/next/dist/package.json": json.dumps({"name": "part", "version": "1"}),
            "app/node_modules/.pnpm/react@18/node_modules/react/package.json": json.dumps(
                {"name": "react", "version": "18.0"}
            ),
            "app/package.json": json.dumps({"name": "app", "version": "1"}),
        }
    )
    assert names(image_contents((layer,))) == ["next 15.0", "react 18.0"]


def test_a_database_in_a_form_that_is_not_read_is_told() -> None:
    layer = observed({"var/lib/rpm/rpmdb.sqlite": b"SQLite"})
    assert image_contents((layer,)).unread == ("var/lib/rpm/rpmdb.sqlite",)
    assert image_contents((layer, observed({"var/lib/.wh.rpm": b""}))).unread == ()


def test_only_files_that_describe_packages_are_wanted() -> None:
    observer = LayerObserver()
    assert observer.wants("var/lib/dpkg/status", 10)
    assert observer.wants("var/lib/dpkg/status.d/tzdata", 10)
    assert observer.wants("usr/lib/apk/db/installed", 10)
    assert not observer.wants("var/lib/dpkg/status.d/tzdata.md5sums", 10)
    assert not observer.wants("var/lib/dpkg/status", LARGEST + 1)
    assert not observer.wants("var/lib/dpkg/info/bash.list", 10)
    assert not observer.wants("opt/model/METADATA", 10)
    assert not observer.wants("usr/lib/python3/dist-packages/x.dist-info/METADATA", 10)


def test_records_are_kept_as_they_are() -> None:
    for records in (BASE, observed({**TORCH}), observed({"opt/.wh.kit": b""}), LayerRecords()):
        assert parse_records(dump_records(records)) == records


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"form": 0}', b'{"form": 1}', b'{"form": 1, "packages": 3}']
)
def test_records_that_cannot_be_understood_are_none(data: bytes) -> None:
    assert parse_records(data) is None
