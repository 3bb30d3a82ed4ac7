"""One training step, and what batches are made of, against golden numbers."""

import numpy as np
import pytest
import torch
from pixelnerf_golden import close, golden, rule_weights, to_chance, to_rays, to_views

from pixelnerf_items import items, make_srn, unpack
from sightline.captures import open_capture
from sightline.geometry import Cameras
from sightline.geometry.similarity import Similarity
from sightline.methods.base import Progress
from sightline.methods.pixelnerf import method as method_module
from sightline.methods.pixelnerf.batches import PixelNerfBatch
from sightline.methods.pixelnerf.boxes import object_box, pixels_in_boxes
from sightline.methods.pixelnerf.config import INFO
from sightline.methods.pixelnerf.jitter import ColourChange
from sightline.methods.pixelnerf.method import PixelNerf
from sightline.methods.pixelnerf.tracing import Chance
from sightline.methods.pixelnerf.views import load_views, pixel_rays, to_network

IDENTITY = Similarity.identity()


@pytest.mark.parametrize(("mode", "kernels"), [("eval", "reference"), ("train", "reference"), ("train", "")])
def test_a_training_step(shared, monkeypatch, mode, kernels):
    monkeypatch.setenv("SIGHTLINE_KERNELS", kernels)
    allowed = 1e-3
    values = golden(shared, "train_step")
    settings = {"imagenet": False, "layer_precision": "float32", "batch_statistics": mode == "train"}
    method = PixelNerf(INFO.build_config("sn64", **settings))
    method.network.load_state_dict(rule_weights(method.network))
    method.train()
    (optimisation,) = method.optimisers()
    chance = to_chance(values, f"{mode}_")
    monkeypatch.setattr(method_module.Chance, "draw", staticmethod(lambda *_, **__: chance))
    views = to_views(values["src_images_u8"], values["src_poses_c2w"], values["focal"])
    batch = PixelNerfBatch(views, to_rays(values["rays"]), torch.from_numpy(values["rgb_gt"]))
    losses = method(batch, Progress(0, 0.0))
    assert losses["loss"].item() == pytest.approx(float(values[f"{mode}_loss"]), abs=2e-6)
    fine = 10 ** (-float(losses["psnr"]) / 10)
    assert fine == pytest.approx(float(values[f"{mode}_loss_fine"]), abs=2e-6)
    losses["loss"].backward()
    gradients = {name: value.grad for name, value in method.network.named_parameters()}
    assert list(gradients) == values["param_names"].tolist()
    for name, norm in zip(values["param_names"].tolist(), values[f"{mode}_grad_norms"], strict=True):
        found = gradients[name]
        assert (found is None) == (norm < 0), name
        if found is not None:
            assert float(found.double().norm()) == pytest.approx(norm, rel=allowed, abs=1e-9), name
    blocks = {
        "coarse_lin_out_w": gradients["mlp_coarse.lin_out.weight"],
        "fine_lin_out_w": gradients["mlp_fine.lin_out.weight"],
        "coarse_lin_in_w": gradients["mlp_coarse.lin_in.weight"][:32],
        "conv1_w": gradients["encoder.model.conv1.weight"][:8],
        "layer3_0_conv1_w": gradients["encoder.model.layer3.0.conv1.weight"][:4, :16],
    }
    for name, found in blocks.items():
        expected = values[f"{mode}_grad_{name}"]
        close(found, expected, allowed * float(np.abs(expected).max()))
    if mode == "train":
        state = method.network.encoder.model.state_dict()
        for name in ("bn1", "layer1.0.bn1", "layer3.5.bn2"):
            for kind in ("running_mean", "running_var", "num_batches_tracked"):
                close(state[f"{name}.{kind}"], values[f"train_after_{name}_{kind}"], 1e-5, 1e-4)
    optimisation.optimiser.step()
    for part in ("fine", "coarse"):
        bias = getattr(method.network, f"mlp_{part}").lin_out.bias
        close(bias, values[f"{mode}_after_adam_{part}_lin_out_b"], 1e-5)


@pytest.mark.parametrize(
    ("key", "size", "focal", "centre", "step"),
    [
        ("a_128x128_f131p25_c64", (128, 128), (131.25, 131.25), (64, 64), 16),
        ("b_w150_h100_f120_110_c70_51", (150, 100), (120, 110), (70, 51), 10),
        ("c_w64_h48_f70_nocenter", (64, 48), (70, 70), (32, 24), 8),
    ],
)
def test_rays_of_pixels(shared, key, size, focal, centre, step):
    from sightline.methods.pixelnerf.views import PosedPictures

    values = golden(shared, "gen_rays")
    pose = torch.from_numpy(values["pose"])[None, :3]
    rows, columns = torch.meshgrid(
        torch.arange(0, size[1], step), torch.arange(0, size[0], step), indexing="ij"
    )
    pixels = torch.stack([columns, rows], -1).view(-1, 2)
    expected = values[key].reshape(-1, 8)
    views = PosedPictures(
        torch.zeros(1, 3, 1, 1), pose, torch.tensor([focal]).float(), torch.tensor([centre]).float(), 1.0
    )
    origins, directions = pixel_rays(views, torch.zeros(len(pixels), dtype=torch.long), pixels.float())
    close(origins, expected[:, :3], 1e-6)
    close(directions, expected[:, 3:6], 1e-6)
    # Rendering makes them from cameras, whose first pixel's corner is at 0.
    cameras = Cameras.create(pose, *([value] for value in (*focal, *centre)), width=size[0], height=size[1])
    close(cameras.rays(0, pixels.double()).directions, expected[:, 3:6], 1e-6)


def test_pixels_in_boxes(shared):
    values = golden(shared, "bbox_sample")
    found = pixels_in_boxes(values["bboxes"][values["image_ids"]], values["u_x"], values["u_y"])
    expected = values["pix_id_y_x"]
    np.testing.assert_array_equal(found, expected[:, [2, 1]])


def test_colour_jitter(shared, tmp_path):
    values = items(shared, "dtu_small")
    scan = open_capture(unpack(shared, "rs_dtu_4", tmp_path))["scan118s"].open()
    config = INFO.build_config("dtu")
    images = to_network(np.stack(scan.images.load()), config)
    names = ("hue", "saturation", "brightness", "contrast")
    changed = ColourChange(**{name: float(values[f"jitter_{name}"]) for name in names})(images)
    close(changed[tuple(values["train_images_idx"].T)], values["train_images_val"], 1e-5)
    close(changed.double().mean((1, 2, 3)), values["train_images_mean_per_view"], 1e-5)


def test_views_of_srn_at_the_network_size(shared, tmp_path):
    values = items(shared, "srn_resize")
    (entry,) = open_capture(unpack(shared, "srn_resize", tmp_path))
    for prefix, scale in (("item0", 1.0), ("ws2_item0", 2.0)):
        config = INFO.build_config("srn_chair", world_scale=scale, world_scale_focal=True)
        capture = entry.open()
        frame = Similarity(scale, IDENTITY.rotation, IDENTITY.translation)
        views = load_views(capture, range(3), config, frame)
        close(views.images[tuple(values[f"{prefix}_images_idx"].T)], values[f"{prefix}_images_val"], 1e-6)
        close(views.c2w, values[f"{prefix}_poses"][:, :3], 2e-5)
        close(views.focal, np.broadcast_to(values[f"{prefix}_focal"], (3, 2)), 1e-4)
        close(views.centre, np.broadcast_to(values[f"{prefix}_c"], (3, 2)), 1e-4)
        config = INFO.build_config("srn_chair", saturated_background=True)
        boxes = np.stack([object_box(capture, index, config) for index in range(3)]) * views.ratio
        np.testing.assert_allclose(boxes, values[f"{prefix}_bbox"], atol=1e-5)


def test_boxes(shared, tmp_path):
    published = INFO.build_config("srn_chair", saturated_background=True)
    values = items(shared, "srn_chairs")
    views = list(range(0, 251, 25))
    make_srn(shared, tmp_path / "chairs_test", values["object_index"].tolist(), "chairs", views)
    for number, entry in enumerate(open_capture(tmp_path / "chairs_test")):
        capture = entry.open()
        found = np.stack([object_box(capture, index, published) for index in range(len(views))])
        np.testing.assert_array_equal(found, values[f"item{number}_bbox"][views])
    values = items(shared, "nmr")
    collection = open_capture(unpack(shared, "NMR_Dataset", tmp_path))
    for number, id in enumerate(values["dvr_test_objects"].tolist()):
        capture = collection[id].open()
        found = np.stack([object_box(capture, index, published) for index in range(4)])
        np.testing.assert_array_equal(found, values[f"dvr_test_item{number}_bbox"])
    values = items(shared, "multi_obj")
    collection = open_capture(unpack(shared, "multi_chair", tmp_path))
    for number, entry in enumerate(collection.split("test")):
        capture = entry.open()
        expected = values[f"test_item{number}_bbox"]
        found = np.stack([object_box(capture, index, published) for index in range(3)])
        np.testing.assert_array_equal(found[:2], expected[:2])
        # The last view is empty; the published box of such a view is one pixel too large.
        assert found[2].tolist() == [0, 0, 127, 127]
        assert expected[2].tolist() == [0, 0, 128, 128]


def test_intrinsics_of_dtu_are_averaged(shared, tmp_path):
    values = items(shared, "dtu_small")
    scan = open_capture(unpack(shared, "rs_dtu_4", tmp_path))["scan118s"].open()
    views = load_views(scan, [0, 2], INFO.build_config("dtu"), IDENTITY)
    close(views.focal, np.broadcast_to(values["val_focal"], (2, 2)), 1e-4)
    close(views.centre, np.broadcast_to(values["val_c"], (2, 2)), 1e-4)
    own = load_views(scan, [0, 2], INFO.build_config("dtu", average_intrinsics=False), IDENTITY)
    close(own.focal[:, 0], scan.cameras.fx[[0, 2]].numpy(), 1e-4)


def test_chance_is_drawn_as_needed():
    config = INFO.build_config("srn_chair")
    counts = method_module.SampleCounts.at(config, 0)
    first = Chance.draw(counts, 5, torch.zeros(1), torch.Generator().manual_seed(1))
    again = Chance.draw(counts, 5, torch.zeros(1), torch.Generator().manual_seed(1))
    assert (first.jitter.shape, first.places.shape, first.depth.shape) == ((5, 64), (5, 16), (5, 16))
    assert torch.equal(first.depth, again.depth)
    assert not torch.equal(first.places, first.within)
