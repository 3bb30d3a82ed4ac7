"""The encoder, the positional code and the perceptrons against golden numbers."""

import numpy as np
import pytest
import torch
from pixelnerf_golden import (
    SHIFTS,
    close,
    golden,
    rule_network,
    rule_value,
    to_images,
    to_views,
    usual_network,
)

from sightline.methods.pixelnerf.encoder import read_features
from sightline.networks.phase_encoding import PhaseEncoding


@pytest.fixture(scope="module")
def network():
    return usual_network()


def test_the_rule_of_the_weights():
    expected = {
        "encoder.model.conv1.weight": (0.01941023, 0.08785546, 0.03387936, -0.07719745),
        "encoder.model.bn1.running_var": (1.35600805, 1.06964457, 1.01509559, 1.13185799),
        "encoder.model.layer1.0.bn2.weight": (0.23892404, 0.25489518, 0.25581762, 0.26371080),
        "mlp_coarse.blocks.0.fc_1.weight": (0.04789484, 0.00691604, 0.03680801, -0.02357674),
        "mlp_fine.lin_in.weight": (0.10341693, -0.32161468, 0.30423057, -0.55997914),
        "mlp_coarse.lin_out.bias": (3.53028250, -5.04076433, 8.39763165, -44.39026642),
    }
    state = usual_network().state_dict()
    for name, values in expected.items():
        close(state[name].flatten()[:4], np.array(values), 2e-6)
    assert rule_value("x.bn1.num_batches_tracked", (), SHIFTS) == 0


def test_the_network_has_the_published_tensors(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    encoder = [name for name in shapes if name.startswith("encoder.")]
    # The published file has the code's two constants besides.
    assert (len(encoder), len(shapes)) == (216, 278 - 2)
    assert sum(value.numel() for value in network.encoder.parameters()) == 21_284_672
    assert sum(value.numel() for value in network.mlp_fine.parameters()) == 3_438_596
    assert sum(value.numel() for value in network.parameters()) == 28_161_864
    unused = sum(value.numel() for value in network.encoder.parameters() if not value.requires_grad)
    assert unused == 13_114_368
    assert shapes["mlp_coarse.lin_z.2.weight"] == (512, 512)
    assert shapes["mlp_coarse.lin_in.weight"] == (512, 42)


@pytest.mark.parametrize(
    ("file", "prefix", "preset", "changes"),
    [
        ("encoder", "srn128", "srn_car", {}),
        ("encoder", "sn64", "sn64", {}),
        ("encoder_variants", "pool64", "srn_car", {}),
        ("encoder_variants", "pool64x96", "srn_car", {}),
    ],
)
def test_feature_maps(shared, file, prefix, preset, changes):
    found = golden(shared, file)
    values = {key.removeprefix(f"{prefix}_"): found[key] for key in found if key.startswith(f"{prefix}_")}
    network = rule_network(preset, **changes)
    picture = values["image_u8"]
    with torch.no_grad():
        maps = network.encoder(to_images(picture)[None])
        assert tuple(maps.shape) == tuple(values["latent_shape"])
        stride = int(values["stride"])
        close(maps[0, :, ::stride, ::stride], values["latent_strided"], 1e-4)
        close(maps[0, :, -1, ::stride], values["latent_lastrow"], 1e-4)
        close(maps[0, :, ::stride, -1], values["latent_lastcol"], 1e-4)
        close(maps[0].double().mean((1, 2)), values["chan_mean"], 1e-5)
        close(maps[0].double().flatten(1).std(1), values["chan_std"], 1e-5)
        size = (picture.shape[1], picture.shape[0])
        found = read_features(maps, torch.from_numpy(values["index_uv"])[None], size, network.config)
    close(found, values["index_out"], 1e-4)


def test_positional_codes(shared):
    values = golden(shared, "positional_code")
    close(PhaseEncoding()(torch.from_numpy(values["x"])), values["pixelnerf_6_1p5"], 1e-4)
    pi = PhaseEncoding(10, torch.pi)
    close(pi(torch.from_numpy(values["x"])), values["nerf_10_pi"], 2e-3)
    bare = PhaseEncoding(4, 2.0, include_input=False)
    close(bare(torch.from_numpy(values["x2"])), values["noinput_4_2p0_d2"], 1e-4)
    assert (PhaseEncoding().width(), pi.width(), bare.width(2)) == (39, 63, 16)


def check_outputs(network, views, values, prefix: str = "", logits: bool = True) -> None:
    points, directions = torch.from_numpy(values["points"]), torch.from_numpy(values["viewdirs"])
    with torch.no_grad():
        encoded = network.encode(views)
        for fine, name in ((False, "coarse"), (True, "fine")):
            rgb, sigma = network(encoded, points, directions, fine)
            expected = values[f"{prefix}out_{name}"]
            close(rgb, expected[..., :3], 5e-5)
            close(sigma, expected[..., 3], 3e-4)
            if logits:
                raw = network.raw(encoded, points, directions, fine)
                close(raw, values[f"{prefix}logits_{name}"], 1e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_points_seen_from_views(shared, network, count):
    values = golden(shared, f"net_forward_{count}v")
    views = to_views(values["images_u8"][None], values["poses_c2w"][None], values["focal"], values["c"])
    check_outputs(network, views, values)
    with torch.no_grad():
        inputs, features = network.describe_points(
            network.encode(views), torch.from_numpy(values["points"]), torch.from_numpy(values["viewdirs"])
        )
    close(inputs[0], values["z_feature"], 1e-4)
    close(features[0, :, :8], values["latent_first8pts"], 1e-4)


@pytest.mark.parametrize(
    ("prefix", "change"), [("zcam_", {"rotate_only": False}), ("max_", {"combination": "max"})]
)
def test_other_switches(shared, prefix, change):
    values = golden(shared, "net_forward_2v")
    views = to_views(values["images_u8"][None], values["poses_c2w"][None], values["focal"], values["c"])
    check_outputs(rule_network(**change), views, values, prefix)


def test_several_objects_with_their_own_lenses(shared, network):
    values = golden(shared, "net_forward_sb2_ns2")
    views = to_views(values["images_u8"], values["poses_c2w"], values["focal"], values["c"])
    check_outputs(network, views, values)
    with torch.no_grad():
        inputs, features = network.describe_points(
            network.encode(views), torch.from_numpy(values["points"]), torch.from_numpy(values["viewdirs"])
        )
    close(inputs.flatten(0, 1), values["z_feature"], 1e-4)
    close(features.flatten(0, 1)[:, :8], values["latent_first8pts"], 1e-4)
    views = to_views(values["images_u8"], values["poses_c2w"], values["nocenter_focal"])
    check_outputs(network, views, values, "nocenter_", logits=False)
