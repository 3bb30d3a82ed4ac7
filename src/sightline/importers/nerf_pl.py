"""nerf_pl: Lightning checkpoints of its master and dev branches, and bare weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.foundation.errors import InputError
from sightline.foundation.unpickling import fields_of
from sightline.importers.contract import Reading, Source, SourceFile
from sightline.importers.perceptrons import (
    Naming,
    Perceptrons,
    Stored,
    as_step,
    place_linears,
)

_DEPTH = 8
_PREFIXES = {"coarse": "nerf_coarse.", "fine": "nerf_fine."}
# Parts of the networks of its branch for photos from the wild.
_IN_THE_WILD = ("static_sigma", "transient_", "embedding_a.", "embedding_t.")
# Its arguments → our settings.
_SETTINGS = {
    "N_samples": "coarse_samples",
    "use_disp": "disparity",
    "perturb": "perturb",
    "noise_std": "noise",
    "batch_size": "rays",
    "lr": "learning_rate",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "optimizer": "optimiser",
    "warmup_epochs": "warm_up",
    "warmup_multiplier": "warm_up_multiplier",
}
_SCHEDULES = {
    "steplr": ("steps", {"decay_step": "decay_milestones", "decay_gamma": "decay_rate"}),
    "cosine": ("cosine", {"num_epochs": "decay_span"}),
    "poly": ("polynomial", {"num_epochs": "decay_span", "poly_exp": "decay_power"}),
}


def recognise(content: Any) -> bool:
    """Whether there are tensors of `nerf_coarse` or `nerf_fine`, in a Lightning dictionary or bare."""
    return any(str(name).startswith(tuple(_PREFIXES.values())) for name in _tensors(content))


def read(files: Sequence[SourceFile]) -> Reading:
    """Read one checkpoint."""
    if len(files) > 1:
        raise InputError("A checkpoint of nerf_pl is one file", where=files[1].path)
    file = files[0]
    tensors = _tensors(file.content)
    if any(part in str(name) for name in tensors for part in _IN_THE_WILD):
        raise InputError(
            "This is a NeRF in the Wild (nerf_pl's branch nerfw), whose networks are not those of `nerf`",
            where=file.path,
            fix="Checkpoints of the branches master and dev can be imported",
        )
    networks = {
        which: {
            name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
        }
        for which, prefix in _PREFIXES.items()
    }
    arguments = _arguments(file.content)
    preset = "nerf_pl_dev" if _is_dev(file.content) else "nerf_pl"
    perceptrons = Perceptrons(
        Naming(_places),
        {which: network for which, network in networks.items() if network},
        labels=_PREFIXES,
        preset=preset,
        depths=[_DEPTH],
        where=file.path,
        others=[name for name in tensors if not name.startswith(tuple(_PREFIXES.values()))],
    )
    settings = _settings(arguments)
    if perceptrons.has_fine and arguments.get("N_importance"):
        settings["fine_samples"] = arguments["N_importance"]
    full = file.content if tensors is not file.content else {}
    facts = {name: full[name] for name in ("epoch", "pytorch-lightning_version") if name in full}
    facts |= {name: arguments[name] for name in ("root_dir", "img_wh") if name in arguments}
    return perceptrons.reading(
        settings=settings,
        step=as_step(full.get("global_step")),
        facts=facts,
        split_rule="nerf_pl",
        image_width=_width(arguments.get("img_wh")),
        resize_rule="lanczos",
    )


def _tensors(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        return {}
    inner = content.get("state_dict", content)
    return inner if isinstance(inner, dict) and all(isinstance(name, str) for name in inner) else {}


def _arguments(content: Mapping[str, Any]) -> dict[str, Any]:
    """The program's arguments, as a dictionary or a namespace, perhaps inside another one."""
    found = fields_of(content.get("hparams")) or fields_of(content.get("hyper_parameters"))
    return fields_of(found["hparams"]) if list(found) == ["hparams"] else found


def _is_dev(content: Mapping[str, Any]) -> bool:
    return "pytorch-lightning_version" in content or "hyper_parameters" in content


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    found = {ours: arguments[name] for name, ours in _SETTINGS.items() if name in arguments}
    schedule, names = _SCHEDULES.get(str(arguments.get("lr_scheduler")), ("", {}))
    if schedule and all(name in arguments for name in names):
        found |= {"schedule": schedule, **{ours: arguments[name] for name, ours in names.items()}}
    if arguments.get("dataset_name") == "blender":
        found["scene"] = "bounded"
    elif arguments.get("dataset_name") == "llff":
        found["scene"] = "surround" if arguments.get("spheric_poses") else "forward"
    return found


def _width(size: Any) -> int | None:
    known = isinstance(size, (list, tuple)) and len(size) == 2 and isinstance(size[0], int) and size[0] > 0
    return size[0] if known else None


def _places(depth: int, directions: bool) -> dict[str, Stored]:
    layers = {f"trunk.{layer}": f"xyz_encoding_{layer + 1}.0" for layer in range(depth)}
    layers |= {"density": "sigma", "colour": "rgb.0"}
    layers |= {"feature": "xyz_encoding_final", "view": "dir_encoding.0"} if directions else {}
    return place_linears(layers, directions=directions)


SOURCE = Source(
    name="nerf_pl",
    summary="Lightning .ckpt of the branches master and dev, or their weights alone",
    looked_for="tensors nerf_coarse.… in state_dict or bare",
    presets=("nerf_pl", "nerf_pl_dev"),
    recognise=recognise,
    read=read,
)
