from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.bundle.docker_load import docker_load_size
from kit.bundle.frame_index import Frame, dump_index
from kit.bundle.manifest import Blob, File, Layer, Manifest
from kit.errors import ConfigError, UnfitError
from kit.ship.engine.identity import SeenImage, diff_ids
from kit.ship.engine.oci_archive import oci_archive_size
from kit.ship.framed import FramedBlob, framed
from kit.ship.have import Have
from kit.ship.plan import MARGIN, require_room
from kit.ship.wanted import Wanted
from kit.workflow.ship_plan import uplink_bytes
from tests.unit.bundle.factories import BASE_LAYER
from tests.unit.host.factories import host_facts
from tests.unit.ship.factories import host_plan, ship_bundle_source


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return ship_bundle_source(tmp_path).manifest


def there(manifest: Manifest, *names: str) -> tuple[SeenImage, ...]:
    images = [image for image in manifest.images if image.name in names]
    return tuple(SeenImage(image.config.digest, (image.identity_tag,), diff_ids(image)) for image in images)


def test_a_bare_host_gets_everything_that_it_wants_once(manifest: Manifest) -> None:
    plan = host_plan(manifest)
    train, tree = manifest.image("train"), manifest.tree("model", "tiny")
    assert train is not None
    assert tree is not None
    wanted = {blob.digest for blob in train.blobs} | {file.digest for file in tree.files}
    assert {send.blob.digest for send in plan.sends} == wanted
    assert len(plan.sends) == len(wanted)
    assert plan.sends_kit
    assert [image.name for image in plan.loads] == ["train"]
    assert [image.name for image in plan.images] == ["kit", "train"]
    assert plan.send_bytes == sum(send.blob.size for send in plan.sends) + docker_load_size(plan.kit)
    assert (plan.keeps, plan.present, plan.there_bytes) == ((), (), 0)


def test_kits_image_comes_compressed_where_the_engine_takes_it(manifest: Manifest) -> None:
    plan = host_plan(manifest, facts=host_facts(containerd_store=True, engine_version="28.5.2"))
    assert plan.kit_bytes == oci_archive_size(plan.kit)


def test_a_host_that_has_all_gets_nothing(manifest: Manifest) -> None:
    tree = manifest.tree("model", "tiny")
    assert tree is not None
    have = Have({file.digest: file.size for file in tree.files}, {}, there(manifest, "kit", "train"))
    plan = host_plan(manifest, have=have)
    assert (plan.sends, plan.loads, plan.send_bytes, plan.disk_bytes, plan.engine_bytes) == ((), (), 0, 0, 0)
    assert not plan.sends_kit
    assert {image.name for image in plan.present} == {"kit", "train"}
    assert plan.there_bytes == sum(file.size for file in tree.files)


def test_blobs_of_an_image_that_is_in_the_engine_are_not_sent(manifest: Manifest) -> None:
    plan = host_plan(manifest, have=Have(images=there(manifest, "train")))
    assert plan.loads == ()
    assert plan.sends_kit
    assert len(plan.sends) == 2


def test_an_image_under_a_borrowed_tag_is_sent(manifest: Manifest) -> None:
    train = manifest.image("train")
    assert train is not None
    false = SeenImage("sha256:" + "0" * 64, (train.identity_tag,), diff_ids(train))
    assert [image.name for image in host_plan(manifest, have=Have(images=(false,))).loads] == ["train"]


def test_a_partial_blob_goes_on_where_it_stopped(manifest: Manifest) -> None:
    blob = host_plan(manifest).sends[-1].blob
    plan = host_plan(manifest, have=Have(partial={blob.digest: blob.size - 3}))
    send = next(send for send in plan.sends if send.blob == blob)
    assert (send.there, send.size) == (blob.size - 3, 3)
    assert plan.there_bytes == blob.size - 3


def test_a_partial_blob_takes_whole_blocks_and_never_counts_for_more_than_it_is(manifest: Manifest) -> None:
    blob = host_plan(manifest).sends[-1].blob
    plan = host_plan(manifest, have=Have(partial={blob.digest: blob.size + 1}))
    assert next(send for send in plan.sends if send.blob == blob).size == 0


def test_a_blob_of_the_wrong_size_is_sent_again(manifest: Manifest) -> None:
    blob = host_plan(manifest).sends[-1].blob
    plan = host_plan(manifest, have=Have(blobs={blob.digest: blob.size - 1}))
    assert blob in [send.blob for send in plan.sends]


def test_what_the_bundle_lacks_is_named(manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match="image serve"):
        host_plan(manifest, wanted=Wanted(("kit", "serve")))


def test_layers_that_the_engine_has_need_no_room(manifest: Manifest) -> None:
    bare = host_plan(manifest).engine_bytes
    assert 0 < host_plan(manifest, have=Have(images=there(manifest, "kit"))).engine_bytes < bare


def test_too_little_room_is_refused_with_the_numbers(manifest: Manifest) -> None:
    plan = host_plan(manifest)
    need = plan.disk_bytes + plan.engine_bytes + MARGIN
    require_room(plan, host_facts(free_bytes=need))
    with pytest.raises(UnfitError) as caught:
        require_room(plan, host_facts(free_bytes=need - 1))
    assert f"{need / 1e9:.2f} GB needed" in caught.value.what
    assert "gpu1" in caught.value.where
    assert "nothing was sent" in caught.value.why


def test_the_engines_own_disk_is_looked_at_on_its_own(manifest: Manifest) -> None:
    plan = host_plan(manifest)
    facts = host_facts(
        free_bytes=plan.disk_bytes + MARGIN,
        engine_free_bytes=plan.engine_bytes + MARGIN - 1,
        engine_on_root_disk=False,
    )
    with pytest.raises(UnfitError, match="images"):
        require_room(plan, facts)


def test_a_full_disk_does_not_matter_when_nothing_comes(manifest: Manifest) -> None:
    tree = manifest.tree("model", "tiny")
    assert tree is not None
    have = Have({file.digest: file.size for file in tree.files}, {}, there(manifest, "kit", "train"))
    require_room(host_plan(manifest, have=have), host_facts(free_bytes=0))


def halves(item: Layer | File | Blob) -> FramedBlob:
    """Every blob as two frames, the first of which is the same in all of them."""
    blob = Blob(item.digest, item.size)
    first = Frame(item.size // 2, item.size // 2, b"1" * 32, b"1" * 32)
    rest = item.size - item.size // 2
    return framed(
        blob, (first, Frame(rest, rest, item.digest[:32].encode(), item.digest[:32].encode())), blob
    )


def older_have(manifest: Manifest, **more: Any) -> Have:
    """A host with an older blob that has the first half of everything."""
    digest = "sha256:" + "e" * 64
    del manifest
    return Have({digest: 5}, indexes={digest: dump_index([Frame(5, 5, b"1" * 32, b"1" * 32)])}, **more)


def test_frames_of_older_blobs_are_not_sent_but_take_room(manifest: Manifest) -> None:
    bare = host_plan(manifest)
    plan = host_plan(manifest, have=older_have(manifest), frames_of=halves)
    shared = sum(send.blob.size // 2 for send in plan.sends)
    assert plan.send_bytes == bare.send_bytes - shared
    assert plan.older_bytes == plan.there_bytes == shared
    assert plan.disk_bytes == bare.disk_bytes


def test_what_was_cut_off_began_with_copying_and_counts_once(manifest: Manifest) -> None:
    blob = max(host_plan(manifest).sends, key=lambda send: send.size).blob
    for partial in (blob.size // 4, blob.size // 2 + 3):
        have = older_have(manifest, partial={blob.digest: partial})
        plan = host_plan(manifest, have=have, frames_of=halves)
        send = next(send for send in plan.sends if send.blob == blob)
        assert send.there == max(partial, blob.size // 2)
        assert plan.partial_bytes == partial
        assert plan.there_bytes == plan.partial_bytes + plan.older_bytes


def test_what_came_before_needs_no_more_room(manifest: Manifest) -> None:
    images = there(manifest, "kit")
    bare = host_plan(manifest, have=Have(images=images))
    blob = bare.sends[-1].blob
    plan = host_plan(manifest, have=Have(partial={blob.digest: blob.size - 3}, images=images))
    assert plan.disk_bytes == bare.disk_bytes - blob.size + 3


def test_the_archive_of_kits_image_is_gone_when_blobs_come(manifest: Manifest) -> None:
    plan = host_plan(manifest)
    blobs = sum(send.size for send in plan.sends) + sum(index.size for index in plan.indexes)
    assert plan.disk_bytes == max(plan.kit_bytes, blobs)


def test_a_host_that_lies_of_all_sends_gets_no_plan_below_nothing(manifest: Manifest) -> None:
    lies = {send.blob.digest: 10**17 for send in host_plan(manifest).sends}
    plan = host_plan(manifest, have=Have(partial=lies))
    assert plan.send_bytes == plan.kit_bytes + sum(index.size for index in plan.indexes)
    assert plan.disk_bytes >= plan.kit_bytes


def test_images_that_the_engine_has_are_told_as_reused(manifest: Manifest) -> None:
    train = manifest.image("train")
    assert train is not None
    plan = host_plan(manifest, have=Have(images=there(manifest, "train")))
    assert plan.engine_has_bytes == sum(layer.size for layer in train.layers)


def test_a_blob_leaves_this_machine_once_and_kits_image_for_each_host(manifest: Manifest) -> None:
    plans = [host_plan(manifest, facts=host_facts(host=name)) for name in ("gpu1", "gpu2")]
    plans.append(host_plan(manifest, have=Have(images=there(manifest, "kit", "train"))))
    blobs = sum(send.size for send in plans[0].sends)
    own = sum(plan.send_bytes - sum(send.size for send in plan.sends) for plan in plans)
    assert uplink_bytes(plans) == blobs + own


@pytest.fixture
def sharing(tmp_path: Path) -> Manifest:
    """A bundle whose train image stands on the base of kit's own."""
    return ship_bundle_source(tmp_path / "sharing", BASE_LAYER).manifest


@pytest.mark.parametrize("containerd", [False, True])
def test_layers_that_kits_image_brings_are_not_sent_again(sharing: Manifest, containerd: bool) -> None:  # noqa: FBT001
    facts = host_facts(containerd_store=containerd, engine_version="28.5.2")
    plan = host_plan(sharing, facts=facts)
    train = sharing.image("train")
    assert train is not None
    base, top = train.layers
    assert plan.left_out == {base.digest}
    sent = {send.blob.digest for send in plan.sends}
    assert top.digest in sent
    assert base.digest not in sent
    assert plan.engine_has_bytes == base.size


def test_a_layer_that_is_there_as_a_blob_is_not_left_out(sharing: Manifest) -> None:
    train = sharing.image("train")
    assert train is not None
    base = train.layers[0]
    plan = host_plan(sharing, have=Have(blobs={base.digest: base.size}))
    assert plan.left_out == frozenset()
    assert base.blob in plan.keeps


def test_kits_image_spares_nothing_of_what_comes_before_it(sharing: Manifest) -> None:
    assert host_plan(sharing, kit_first=False).left_out == frozenset()


@pytest.mark.parametrize(
    ("containerd", "version"), [(False, "20.10.24"), (False, "26.1.5"), (True, "28.5.2")]
)
def test_an_engine_needs_room_for_what_stays_and_for_what_it_holds_twice(
    manifest: Manifest,
    containerd: bool,  # noqa: FBT001
    version: str,
) -> None:
    facts = host_facts(containerd_store=containerd, engine_version=version)
    plan = host_plan(manifest, facts=facts, have=Have(images=there(manifest, "kit")))
    train = manifest.image("train")
    assert train is not None
    low, high = train.layers
    plain, packed = (sum(getattr(x, size) for x in train.layers) for size in ("plain_size", "size"))
    assert (
        plan.engine_bytes - int(plain * 1.02)
        == {
            "20.10.24": max(high.plain_size, low.plain_size - high.plain_size),
            "26.1.5": max(high.size, low.size - high.plain_size, 0),
            "28.5.2": packed,
        }[version]
    )
