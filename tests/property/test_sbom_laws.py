"""Laws of bills of materials.

Whatever the records in an image or the texts of a model hold: reading them raises nothing, the
document is valid by the official schema and has a name for every part once, its package URLs are
such, what it says is read back, and the order in which things were seen changes no byte of it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from kit.sbom.image_contents import image_contents
from kit.sbom.image_document import image_document
from kit.sbom.layer_records import LayerObserver, LayerRecords
from kit.sbom.read_document import read_document
from kit.sbom.records_json import dump_records, parse_records
from kit.sbom.tree_document import ListedFile, TreeContents, tree_document, tree_licences
from tests.property.strategies import digests, paths, sizes, texts
from tests.unit.sbom.sbom_factories import schema_errors

# jsonschema takes seconds to be imported (a grammar of web addresses): one worker does it for all.
pytestmark = [pytest.mark.property, pytest.mark.xdist_group("schemas")]
some = settings(max_examples=100, deadline=None)

CONFIG = "sha256:" + "ab" * 32
PLACES = (
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/base",
    "lib/apk/db/installed",
    "etc/os-release",
    "usr/lib/os-release",
    "usr/share/doc/bash/copyright",
    "opt/a-1.dist-info/METADATA",
    "opt/a-1.dist-info/licenses/LICENSE",
    "opt/b.egg-info",
    "app/node_modules/@x/y/package.json",
    "usr/local/include/python3.11/patchlevel.h",
    "var/lib/rpm/Packages",
    "opt/.wh.a-1.dist-info",
    "opt/.wh..wh..opq",
)
words = st.one_of(
    texts,
    st.sampled_from(
        ("MIT", "GPL-3+", "MIT OR ISC", "gpl-2 with classpath-exception-2.0", "x" * 1500, "\ud800")
    ),
    st.text(max_size=8),
)


def said(*keys: str, mark: str = ": ") -> st.SearchStrategy[bytes]:
    """A text with values for some of these keys."""
    pairs = st.lists(st.tuples(st.sampled_from(keys), words), max_size=9)
    lines = pairs.map(lambda found: "\n".join(f"{key}{mark}{value}" for key, value in found))
    return lines.map(lambda text: text.encode("utf-8", "surrogatepass"))


values = st.recursive(words | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3))
node_packages = st.fixed_dictionaries(
    {"name": values, "version": values},
    optional={"license": values | st.fixed_dictionaries({"type": values})},
).map(lambda document: json.dumps(document).encode())
deb822 = said("Package", "Version", "Status", "Architecture", "Files", "License", "Format", " ", "")
contents = st.one_of(
    st.binary(max_size=60),
    deb822,
    said("P", "V", "L", "A", "p", mark=":"),
    said("Name", "Version", "License", "License-Expression", "Classifier: License :: OSI Approved ::"),
    said("ID", "VERSION_ID", "PRETTY_NAME", mark="="),
    said('#define PY_VERSION "3.1"', mark=" "),
    node_packages,
)
layers = st.dictionaries(st.sampled_from(PLACES), contents, max_size=6)


def observed(files: dict[str, bytes]) -> LayerRecords:
    observer = LayerObserver()
    for name, data in files.items():
        if observer.wants(name, len(data)):
            observer.take(name, data)
    return observer.records


def check(document: bytes) -> dict[str, Any]:
    assert schema_errors(document) is None
    found: dict[str, Any] = json.loads(document)
    references = [item["bom-ref"] for item in found["components"]]
    assert len(set(references)) == len(references)
    listed = (found["metadata"]["component"], *found["components"])
    assert all(
        choice.get("expression") or choice["license"].get("id") or choice["license"]["name"]
        for item in listed
        for choice in item.get("licenses", ())
    )
    assert found["dependencies"] == [
        {"ref": found["metadata"]["component"]["bom-ref"], "dependsOn": references}
    ]
    return found


@some
@given(st.lists(layers, max_size=3))
def test_any_image_has_a_valid_document(files: list[dict[str, bytes]]) -> None:
    records = tuple(map(observed, files))
    assert tuple(parse_records(dump_records(layer)) for layer in records) == records
    turned = tuple(observed(dict(reversed(layer.items()))) for layer in files)
    document = image_document("train", CONFIG, image_contents(records), "1")
    assert document == image_document("train", CONFIG, image_contents(turned), "1")
    urls = [item["purl"] for item in check(document)["components"] if "purl" in item]
    assert {PackageURL.from_string(url).type for url in urls} <= {"deb", "apk", "pypi", "npm", "generic"}
    assert len(read_document(document, "x").packages) == len(urls)


cards = st.one_of(
    said("license", "license_name", "date", "- x", "? a").map(lambda text: b"---\n" + text + b"\n---\n"),
    st.sampled_from((b"---\ndate: 2026-99-99\nlicense: mit\n---\n", b'---\na: "\\U00110000"\n---\n')),
    node_packages,
    st.binary(max_size=60),
).map(lambda data: data.decode("utf-8", "replace"))


@some
@given(
    st.dictionaries(st.sampled_from(("README.md", "config.json", "LICENSE")), cards, max_size=3),
    st.lists(st.builds(ListedFile, paths, digests, sizes), max_size=4, unique_by=lambda file: file.path),
    st.sampled_from(("modelscope:a/b@v1", "huggingface:a/b@" + "AB" * 20, "folder:x")),
)
def test_any_model_has_a_valid_document(card: dict[str, str], files: list[ListedFile], source: str) -> None:
    licences = tree_licences(card)
    model = TreeContents("model", "m", source, CONFIG, tuple(files), licences)
    found = check(tree_document(model, "1"))
    assert {item["hashes"][0]["content"] for item in found["components"]} == {f.digest[7:] for f in files}
    assert len(read_document(tree_document(model, "1"), "x").licences) == len(
        found["metadata"]["component"].get("licenses", ())
    )
