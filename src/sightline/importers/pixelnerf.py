"""pixelNeRF's own program: pixel_nerf_latest, a torch file of one flat dictionary of tensors.

The shapes tell the network; which experiment it was trained in (and with it near, far and the size of
pictures) stands nowhere but in the name of its folder. A file `_iter` beside it holds the step.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.foundation.errors import InputError, warn
from sightline.foundation.tensors import read_foreign
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.methods.pixelnerf.presets import PRESETS

_DEFAULT = "srn_car"
_CODE = ("code._freqs", "code._phases")
_PERCEPTRONS = ("mlp_coarse", "mlp_fine")
_ENCODERS = ("encoder.model.", "global_encoder.model.")
_BLOCKS_OF_STAGE_3 = {6: "resnet34", 2: "resnet18"}
_SHOWN = 8
# Names of folders in which experiments are published → preset.
_EXPERIMENTS = {"srn_car": "srn_car", "srn_chair": "srn_chair", "sn64_unseen": "sn64_unseen", "sn64": "sn64"}
_EXPERIMENTS |= {"multi_obj": "multi_obj", "multi_chair": "multi_obj", "dtu": "dtu"}
_TOLERANCE = 1e-4


def recognise(content: Any) -> bool:
    """Whether there are the tensors of an encoder and of a residual perceptron."""
    if not isinstance(content, dict):
        return False
    return "mlp_coarse.lin_in.weight" in content and "mlp_coarse.blocks.0.fc_0.weight" in content


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint; what its shapes say of the network goes over the preset."""
    if len(files) > 1:
        raise InputError("A checkpoint of pixelnerf is one file", where=files[1].path)
    file = files[0]
    tensors = {name: value for name, value in file.content.items() if hasattr(value, "shape")}
    settings = _settings(tensors, file.path)
    preset = _preset(file.path)
    return Reading(
        method="pixelnerf",
        preset=preset,
        weights=lambda config: _weights(tensors, config, file.path),
        settings=settings,
        exact={"layer_precision": "float32"},
        fixed=frozenset(settings),
        told=("near", "far", "image_size", "first_pool", "background"),
        step=_steps(file.path),
        state_without_data=_state,
    )


def _settings(tensors: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Read what shapes tell of the network."""
    inputs = tensors["mlp_coarse.lin_in.weight"].shape
    blocks = _count(tensors, r"mlp_coarse\.blocks\.(\d+)\.fc_0\.weight")
    entries = _count(tensors, r"mlp_coarse\.lin_z\.(\d+)\.weight")
    features = int(tensors["mlp_coarse.lin_z.0.weight"].shape[1]) if entries else 0
    settings: dict[str, Any] = {
        "hidden_width": int(inputs[0]),
        "blocks": blocks,
        "spade": "mlp_coarse.scale_z.0.weight" in tensors,
        "fine_network": "own" if "mlp_fine.lin_in.weight" in tensors else "coarse",
        "use_encoder": any(name.startswith(_ENCODERS[0]) for name in tensors),
    }
    # The feature enters every block before the views are joined.
    if 0 < entries < blocks:
        settings["combine_layer"] = entries
    if settings["use_encoder"]:
        stage = _count(tensors, r"encoder\.model\.layer3\.(\d+)\.conv1\.weight")
        if stage not in _BLOCKS_OF_STAGE_3:
            raise InputError(
                f"The encoder is no ResNet-34 or -18: its third stage has {stage} blocks", where=where
            )
        settings["backbone"] = _BLOCKS_OF_STAGE_3[stage]
        settings |= _levels(tensors, features, where)
    settings |= _code(tensors, int(inputs[1]), where)
    return settings


def _levels(tensors: Mapping[str, Any], features: int, where: Path) -> dict[str, Any]:
    """Tell how many maps make the feature; a global one may stand before them."""
    whole = 0
    if any(name.startswith(_ENCODERS[1]) for name in tensors):
        fc = tensors.get("global_encoder.fc.weight")
        whole = 512 if fc is None else int(fc.shape[0])
    widths = {64: 1, 128: 2, 256: 3, 512: 4, 1024: 5}
    if features - whole not in widths:
        raise InputError(f"The feature has {features} numbers, which no encoder gives", where=where)
    return {"levels": widths[features - whole], "global_width": whole}


def _code(tensors: Mapping[str, Any], inputs: int, where: Path) -> dict[str, Any]:
    """Tell the positional code, from its constants and from how many numbers go in."""
    frequencies = tensors.get(_CODE[0])
    settings: dict[str, Any] = {"use_code": frequencies is not None}
    count = 0
    if frequencies is not None:
        values = [float(value) for value in frequencies.flatten()]
        count = len(values) // 2
        expected = [values[0] * 2.0**k for k in range(count) for _ in range(2)]
        if any(abs(a - b) > _TOLERANCE * b for a, b in zip(values, expected, strict=True)):
            raise InputError("The frequencies of the code are not octaves", where=f"{where}, {_CODE[0]}")
        settings |= {"code_frequencies": count, "code_factor": values[0]}
    for positions in (True, False):
        for directions in ("raw", "coded", "none"):
            for code_input in (True, False) if count else (True,):
                coordinates = (3 if positions else 1) + (3 if directions == "coded" else 0)
                width = coordinates * (2 * count + code_input) + (3 if directions == "raw" else 0)
                if width == inputs:
                    return settings | {
                        "use_positions": positions,
                        "use_directions": directions != "none",
                        "code_directions": directions == "coded",
                        "code_input": code_input,
                    }
    raise InputError(f"{inputs} numbers describe a point, which no settings give", where=where)


def _weights(tensors: Mapping[str, Any], config: Any, where: Path) -> dict[str, Any]:
    """Give the method's tensors; all that is missing, unknown or of another shape is listed."""
    import torch

    from sightline.methods.pixelnerf.network import PixelNerfNetwork

    wanted = PixelNerfNetwork(config).state_dict()
    wrong = [f"{name} is missing" for name in wanted if name not in tensors]
    wrong += [f"{name} is not known" for name in tensors if name not in wanted and name not in _CODE]
    wrong += [
        f"{name} is {tuple(tensors[name].shape)}, not {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != tuple(value.shape)
    ]
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"The tensors do not fit: {'; '.join(wrong[:_SHOWN])}{more}",
            where=where,
            fix="The file may be damaged, or of another version of the program",
        )
    return {f"network.{name}": torch.as_tensor(tensors[name]) for name in wanted}


def _state(config: Any) -> dict[str, Any]:
    """The frame is the data's own, between near and far of the configuration."""
    from sightline.methods.pixelnerf.frame import published_frame

    return {"frame": published_frame(config).to_json()}


def _preset(path: Path) -> str:
    """Tell the experiment by the name of the folder."""
    name = path.absolute().parent.name.lower()
    if name in _EXPERIMENTS:
        return _EXPERIMENTS[name]
    for known, preset in _EXPERIMENTS.items():
        if known in name:
            return preset
    warn(
        f"The file does not say in which experiment it was trained, and its folder {name!r} is called after "
        f"none; {_DEFAULT} is taken. Another: --preset {', '.join(PRESETS)}."
    )
    return _DEFAULT


def _steps(path: Path) -> int:
    """Read the step from the file beside it; 0 where there is none that can be read."""
    beside = path.with_name("_iter")
    if not beside.is_file():
        return 0
    try:
        content = read_foreign(beside)
    except InputError:
        return 0
    step = content.get("iter") if isinstance(content, dict) else None
    return max(0, step) if isinstance(step, int) else 0


def _count(tensors: Mapping[str, Any], pattern: str) -> int:
    numbers = [int(match[1]) for name in tensors if (match := re.fullmatch(pattern, name))]
    return max(numbers) + 1 if numbers else 0


SOURCE = Source(
    name="pixelnerf",
    summary="pixel_nerf_latest of pixelNeRF's own program",
    looked_for="tensors mlp_coarse.lin_in.weight, mlp_coarse.blocks.0.fc_0.weight, encoder.model.…",
    presets=tuple(PRESETS),
    recognise=recognise,
    read=read,
)
