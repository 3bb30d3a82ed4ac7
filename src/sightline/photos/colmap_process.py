"""One stage of COLMAP in a process of its own: it may fail, be stopped or take memory without harm.

    python -m sightline.photos.colmap_process STAGE JOB.json

Progress is printed on stdout as `progress DONE TOTAL`; COLMAP's own log goes to stderr.
"""

import json
import sys
from pathlib import Path
from typing import Any

_CHUNK = 200
"""pairs that are matched between two reports of progress"""


def main(arguments: list[str]) -> None:
    """Run a stage."""
    stage, job = arguments
    _STAGES[stage](json.loads(Path(job).read_text(encoding="utf-8")))


def _report(done: int, total: int) -> None:
    print(f"progress {done} {total}", flush=True)


def _extract(job: dict[str, Any]) -> None:
    """Find features; photos of one camera share it, and what is in the database stays."""
    import pycolmap

    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.num_threads = job["threads"]
    options.max_image_size = job["side"]
    options.sift.max_num_features = job["features"]
    total, done = sum(len(group["names"]) for group in job["cameras"]), 0
    for group in job["cameras"]:
        names = group["names"]
        step = max(1, job["threads"]) * 2
        for first in range(0, len(names), step):
            reader = pycolmap.ImageReaderOptions()
            reader.camera_model = group["model"]
            if job.get("masks"):
                reader.mask_path = job["masks"]
            known = _camera_of(job["database"], names)
            if known is not None:
                reader.existing_camera_id = known
            elif group["params"]:
                reader.camera_params = ", ".join(map(repr, group["params"]))
            part = names[first : first + step]
            pycolmap.extract_features(
                job["database"],
                job["images"],
                image_names=part,
                camera_mode=pycolmap.CameraMode.SINGLE,
                reader_options=reader,
                extraction_options=options,
                device=pycolmap.Device.cpu,
            )
            done += len(part)
            _report(done, total)


def _camera_of(database: str, names: list[str]) -> int | None:
    """Find the camera of the group in the database, where a photo of it is there already."""
    import pycolmap

    if not Path(database).is_file():
        return None
    with pycolmap.Database.open(database) as opened:
        wanted = set(names)
        ids = [image.camera_id for image in opened.read_all_images() if image.name in wanted]
    return ids[0] if ids else None


def _match(job: dict[str, Any]) -> None:
    """Match pairs and verify them geometrically; those in the database are not matched again."""
    import pycolmap

    options = pycolmap.FeatureMatchingOptions()
    options.use_gpu = False
    options.num_threads = job["threads"]
    options.guided_matching = job["guided"]
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    pairs = job["pairs"]
    listed = Path(job["list"])
    for first in range(0, len(pairs), _CHUNK):
        part = pairs[first : first + _CHUNK]
        listed.write_text("".join(f"{one} {other}\n" for one, other in part), encoding="utf-8")
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = str(listed)
        pycolmap.match_image_pairs(
            job["database"],
            matching_options=options,
            pairing_options=pairing,
            verification_options=verification,
            device=pycolmap.Device.cpu,
        )
        _report(first + len(part), len(pairs))


def _map(job: dict[str, Any]) -> None:
    """Reconstruct; every model is written to a folder of its own, 0 first."""
    import pycolmap

    if job["mapper"] == "global":
        pycolmap.global_mapping(job["database"], job["images"], job["out"])
        return
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = job["threads"]
    options.random_seed = 0
    options.min_model_size = 3
    options.mapper.init_min_num_inliers = job["first_inliers"]
    options.mapper.init_min_tri_angle = job["first_angle"]
    placed = [0]

    def on_image() -> None:
        placed[0] += 1
        _report(min(placed[0] + 2, job["total"]), job["total"])

    pycolmap.incremental_mapping(
        job["database"],
        job["images"],
        job["out"],
        options,
        input_path=job.get("begin") or "",
        next_image_callback=on_image,
    )


_STAGES = {"extract": _extract, "match": _match, "map": _map}

if __name__ == "__main__":
    main(sys.argv[1:])
