from __future__ import annotations

import json

import pytest
from packageurl import PackageURL

from kit.errors import VerificationError
from kit.sbom.image_contents import ImageContents, image_contents
from kit.sbom.image_document import image_document
from kit.sbom.package import Distribution, Package
from kit.sbom.read_document import ListedPackage, read_document
from kit.sbom.tree_document import ListedFile, TreeContents, tells_licence, tree_document, tree_licences
from tests.unit.sbom.sbom_factories import COPYRIGHT, RELEASE, STATUS, metadata, observed, schema_errors

# jsonschema takes seconds to be imported (a grammar of web addresses): one worker does it for all.
pytestmark = pytest.mark.xdist_group("schemas")

CONFIG = "sha256:" + "ab" * 32
IMAGE = image_contents(
    (
        observed(
            {
                "var/lib/dpkg/status": STATUS,
                "usr/lib/os-release": RELEASE,
                "usr/share/doc/bash/copyright": COPYRIGHT,
                "opt/a-1.dist-info/METADATA": metadata("a", "1", "License-Expression: MIT OR ISC"),
                "opt/x/a-1.dist-info/METADATA": metadata("A", "1", "License-Expression: MIT"),
                "opt/b-1.dist-info/METADATA": metadata("b", "1", "License: NVIDIA Proprietary Software"),
            }
        ),
    )
)
MODEL = TreeContents(
    kind="model",
    name="qwen3",
    source="huggingface:Qwen/Qwen3-0.6B@C1899DE289A04D12100DB370D81485CDF75E47CA",
    digest=CONFIG,
    files=(ListedFile("z.safetensors", CONFIG, 7), ListedFile("a/模型.json", CONFIG, 0)),
    licences=("Apache-2.0",),
)


def components(document: bytes) -> dict[str, dict[str, object]]:
    return {item["bom-ref"]: item for item in json.loads(document)["components"]}


def test_documents_hold_against_the_official_schema() -> None:
    assert schema_errors(image_document("train", CONFIG, IMAGE, "1.0")) is None
    assert schema_errors(image_document("empty", CONFIG, ImageContents((), None, ("x",)), "1.0")) is None
    assert schema_errors(tree_document(MODEL, "1.0")) is None


def test_the_schema_would_refuse_a_wrong_document() -> None:
    wrong = image_document("train", CONFIG, IMAGE, "1.0").replace(b'"type": "container"', b'"type": "box"')
    assert schema_errors(wrong) is not None


def test_a_document_depends_on_its_contents_alone() -> None:
    document = image_document("train", CONFIG, IMAGE, "1.0")
    assert document == image_document("train", CONFIG, IMAGE, "1.0")
    other = json.loads(image_document("serve", CONFIG, IMAGE, "1.0"))
    assert other["serialNumber"] != json.loads(document)["serialNumber"]
    assert "timestamp" not in document.decode()


def test_an_image_lists_its_packages_once_and_where_they_are() -> None:
    found = components(image_document("train", CONFIG, IMAGE, "1.0"))
    assert list(found) == [
        "os",
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libgcc-s1@12.2.0-14?arch=amd64&distro=debian-12",
        "pkg:pypi/a@1",
        "pkg:pypi/b@1",
    ]
    both = found["pkg:pypi/a@1"]
    assert both["evidence"] == {
        "occurrences": [
            {"location": "opt/x/a-1.dist-info/METADATA"},
            {"location": "opt/a-1.dist-info/METADATA"},
        ]
    }
    assert both["licenses"] == [{"expression": "MIT AND (MIT OR ISC)"}]
    assert found["pkg:pypi/b@1"]["licenses"] == [{"license": {"name": "NVIDIA Proprietary Software"}}]


def test_an_expression_beside_a_mere_name_is_a_name_itself() -> None:
    package = Package("deb", "x", "1", ("MIT OR ISC", "public-domain"))
    found = components(image_document("i", CONFIG, ImageContents((package,), None), "1"))
    assert found["pkg:deb/debian/x@1"]["licenses"] == [
        {"license": {"name": "MIT OR ISC"}},
        {"license": {"name": "public-domain"}},
    ]


def test_no_version_is_longer_than_the_format_lets_it_be() -> None:
    contents = ImageContents((Package("pypi", "a", "1" * 2000),), Distribution("x", "2" * 2000, "X"))
    document = image_document("i", CONFIG, contents, "1")
    assert schema_errors(document) is None
    assert {len(str(item["version"])) for item in components(document).values()} == {1024}


KINDS = (
    Package("deb", "bash", "5.2-1", ("GPL-3.0-or-later",), "amd64"),
    Package("apk", "musl", "1.2.5-r0", ("MIT",), "x86_64"),
    Package("pypi", "Torch_Audio", "2.6.0+cu126", ("BSD-3-Clause", "MIT OR ISC"), place="opt/METADATA"),
    Package("npm", "@next/env", "15.0.0", ("MIT",), place="app/node_modules/@next/env/package.json"),
    Package("generic", "python", "3.11.9", ("PSF-2.0",), place="usr/local/include/patchlevel.h"),
)


@pytest.mark.parametrize("packages", [*((package,) for package in KINDS), KINDS])
def test_every_kind_of_package_holds_against_the_official_schema(packages: tuple[Package, ...]) -> None:
    document = image_document("i", CONFIG, ImageContents(packages, None), "1")
    assert schema_errors(document) is None
    urls = sorted(components(document))
    assert [PackageURL.from_string(url).to_string() for url in urls] == urls
    assert [url.partition("/")[0] for url in urls] == sorted(f"pkg:{package.kind}" for package in packages)


def test_a_model_lists_every_file_with_its_hash() -> None:
    document = tree_document(MODEL, "1.0")
    subject = json.loads(document)["metadata"]["component"]
    assert subject["type"] == "machine-learning-model"
    assert subject["purl"] == "pkg:huggingface/Qwen/Qwen3-0.6B@c1899de289a04d12100db370d81485cdf75e47ca"
    assert subject["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [item["name"] for item in components(document).values()] == ["a/模型.json", "z.safetensors"]
    assert json.loads(document)["compositions"][0]["aggregate"] == "complete"


def test_a_folder_has_no_address() -> None:
    local = TreeContents("dataset", "notes", "folder:data/notes.json", CONFIG, (), ())
    subject = json.loads(tree_document(local, "1.0"))["metadata"]["component"]
    assert subject["type"] == "data"
    assert "purl" not in subject
    assert "externalReferences" not in subject
    assert schema_errors(tree_document(local, "1.0")) is None


CARD = "---\nlicense: {}\ntags: [x]\n---\n# Qwen\n"


@pytest.mark.parametrize(
    ("texts", "licences"),
    [
        ({"README.md": CARD.format("apache-2.0")}, ("Apache-2.0",)),
        ({"README.md": "\ufeff---\r\nlicense: mit\r\n---\r\n"}, ("MIT",)),
        ({"README.md": CARD.format("other\nlicense_name: qwen-research")}, ("qwen-research",)),
        ({"README.md": CARD.format("[mit, apache-2.0]")}, ("MIT", "Apache-2.0")),
        ({"README.md": CARD.format("llama3.1")}, ("llama3.1",)),
        ({"README.md": CARD.format("mit\ndate: 2026-99-99")}, ("MIT",)),
        ({"README.md": CARD.format('"\\U00110000"')}, ()),
        ({"README.md": "# no card"}, ()),
        ({"README.md": "---\n: [\n---\n"}, ()),
        ({"README.md": CARD.format("{a: b}")}, ()),
        ({"config.json": '{"license": "mit"}'}, ("MIT",)),
        ({"config.json": "{half"}, ()),
        ({"LICENSE": "Apache License\nVersion 2.0, January 2004"}, ("Apache-2.0",)),
        (
            {"LICENSE.txt": "\nTongyi Qianwen LICENSE AGREEMENT\n\nBy using"},
            ("Tongyi Qianwen LICENSE AGREEMENT",),
        ),
        ({}, ()),
    ],
)
def test_a_models_own_files_name_its_licence(texts: dict[str, str], licences: tuple[str, ...]) -> None:
    assert tree_licences(texts) == licences
    assert all(tells_licence(path) for path in texts)


def test_weights_tell_no_licence() -> None:
    assert not tells_licence("model.safetensors")
    assert not tells_licence("sub/README.md")


def test_what_was_written_is_read_back() -> None:
    found = read_document(image_document("train", CONFIG, IMAGE, "1.0"), "x")
    assert found.system == "debian 12"
    assert found.packages[-1] == ListedPackage("pypi", "b", "1", ("NVIDIA Proprietary Software",))
    assert [package.kind for package in found.packages] == ["deb", "deb", "pypi", "pypi"]
    assert read_document(tree_document(MODEL, "1.0"), "x").licences == ("Apache-2.0",)
    unread = image_document("i", CONFIG, ImageContents((), None, ("var/lib/rpm/Packages",)), "1.0")
    assert read_document(unread, "x").unread == "var/lib/rpm/Packages"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"bomFormat": "SPDX"}', b"[" * 100_000])
def test_another_document_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="not a CycloneDX document"):
        read_document(data, "sbom/train.cdx.json")


def test_values_of_other_types_and_control_characters_are_left_out() -> None:
    component = {"purl": "pkg:pypi/a@1", "name": "a\x1b[2J", "version": 3, "licenses": [3, {"license": "x"}]}
    document = {"bomFormat": "CycloneDX", "metadata": 3, "components": [component, 4, {"purl": 5}]}
    found = read_document(json.dumps(document).encode(), "x")
    assert found.packages == (ListedPackage("pypi", "a[2J", "", ()),)
