"""What this machine has for Sightline, what is missing, and how to get it."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from sightline.foundation import cache
from sightline.foundation.errors import SightlineError
from sightline.foundation.hardware import available_cores, processor_name
from sightline.kernels import compiling
from sightline.metrics.lpips import BACKBONE_ASSETS, HEAD_ASSETS
from sightline.runs.record import package_versions
from sightline.training.estimates import available_memory

_FEATURES = ("avx2", "fma", "avx512f", "avx512vnni", "avx512bf16", "amx-bf16", "neon", "bf16")
_LIBRARIES = ("tyro", "safetensors", "tensorboard", "imageio-ffmpeg", "mitsuba", "scipy", "scikit-image")
_EXTRAS = {
    "photos": "camera poses from photos",
    "viewer": "the live viewer",
    "dev": "tests and checks",
}


@dataclass
class Report:
    """What was found: sections of facts, and what is missing."""

    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    """what, and how to get it"""

    def lines(self) -> list[str]:
        """The report for people."""
        width = max(len(name) for facts in self.sections.values() for name in facts)
        lines = []
        for title, facts in self.sections.items():
            lines += [title, *(f"  {name:<{width}}  {value}" for name, value in facts.items()), ""]
        if self.missing:
            lines += ["missing (nothing of it is needed to train, evaluate and render)"]
            lines += [f"  {what}: {how}" for what, how in self.missing]
        else:
            lines += ["nothing is missing"]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {**self.sections, "missing": [{"what": what, "how": how} for what, how in self.missing]}


def examine() -> Report:
    """Look at versions, devices, kernels, programs, extras and weights; nothing is downloaded or compiled."""
    report = Report()
    report.sections["versions"] = {**package_versions(), **{name: _version(name) for name in _LIBRARIES}}
    report.sections["machine"] = _machine()
    report.sections["kernels"] = _kernels()
    report.sections["programs"] = _programs(report)
    report.sections["extras"] = _extras(report)
    report.sections["weights"] = _weights(report)
    return report


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _machine() -> dict[str, str]:
    memory = available_memory()
    found = {
        "processor": processor_name(),
        "cores": f"{available_cores()} (SIGHTLINE_THREADS can lower it)",
        "memory free": "unknown" if memory is None else f"{memory / (1 << 30):.1f} GiB",
        "features": ", ".join(_processor_features()) or "unknown",
        "bf16": _bf16(),
        "torch threads": f"{torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}",
    }
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        found["CUDA"] = (
            "none" if torch.version.cuda is None else f"PyTorch has {torch.version.cuda}, no device"
        )
    for index in range(count):
        properties = torch.cuda.get_device_properties(index)
        found[f"CUDA {index}"] = f"{properties.name}, {properties.total_memory / (1 << 30):.0f} GiB"
    return found


def _processor_features() -> list[str]:
    from llvmlite import binding

    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:
        return []
    return [name for name in _FEATURES if features.get(name)]


def _bf16() -> str:
    features = _processor_features()
    if "amx-bf16" in features:
        return "fast (AMX)"
    if "avx512bf16" in features or "bf16" in features:
        return "fast"
    return "emulated: networks run in float32"


def _kernels() -> dict[str, str]:
    folder = compiling.cache_folder()
    compiled = len(list(folder.rglob("*.nbc"))) if folder.is_dir() else 0
    state = f"{compiled} compiled" if compiled else "not compiled yet: the first training does it once"
    return {"numba kernels": state, "kept in": str(folder)}


def _programs(report: Report) -> dict[str, str]:
    found = {"ffmpeg": _ffmpeg(report)}
    colmap = shutil.which("colmap")
    if colmap:
        found["colmap"] = colmap
    return found


def _ffmpeg(report: Report) -> str:
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
        shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=20)
        return f"{shown.stdout.split()[2]} ({program})"
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError, IndexError) as error:
        report.missing.append(("ffmpeg, for videos", "pip install --force-reinstall imageio-ffmpeg"))
        return f"not usable ({error})"


def _extras(report: Report) -> dict[str, str]:
    found = {}
    for extra, purpose in _EXTRAS.items():
        absent = [name for name in _packages_of(extra) if _version(name) == "not installed"]
        found[extra] = f"missing {', '.join(absent)}" if absent else "installed"
        if absent:
            report.missing.append((purpose, f'pip install "sightline[{extra}]"'))
    return found


def _packages_of(extra: str) -> list[str]:
    """The packages that an extra asks for on this system."""
    try:
        wanted = requires("sightline") or []
    except PackageNotFoundError:
        return []
    names = []
    for line in wanted:
        match = re.match(r"\s*([A-Za-z0-9._-]+)", line)
        of_extra = re.search(rf"extra\s*==\s*['\"]{extra}['\"]", line)
        other_system = "sys_platform" in line and f'"{sys.platform}"' not in line.replace("'", '"')
        if match and of_extra and not other_system:
            names.append(match[1])
    return names


def _weights(report: Report) -> dict[str, str]:
    found = {}
    for backbone in BACKBONE_ASSETS:
        parts = [(asset.name, _find(asset)) for asset in (HEAD_ASSETS[backbone], BACKBONE_ASSETS[backbone])]
        absent = [name for name, path in parts if not isinstance(path, Path)]
        reasons = [path for _, path in parts if isinstance(path, str) and path]
        found[f"LPIPS {backbone}"] = f"missing {', '.join(absent)}" if absent else "here"
        if reasons:
            found[f"LPIPS {backbone}"] += f" ({reasons[0]})"
        if absent:
            report.missing.append(
                (
                    f"LPIPS on {backbone}",
                    "downloaded on first use, or put the files into a folder named by SIGHTLINE_WEIGHTS",
                )
            )
    found["downloads kept in"] = str(cache.cache_folder())
    return found


def _find(asset: cache.Asset) -> Path | str:
    try:
        local = cache.find(asset)
    except SightlineError as error:
        return str(error)
    return "" if local is None else local.path
