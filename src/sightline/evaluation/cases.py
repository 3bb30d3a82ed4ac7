"""Which views of an object are predicted from which: the cases of an evaluation of many objects."""

import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from sightline.captures import Capture, CollectionObject
from sightline.captures.source_views import SourceRule, check_sources, states_split
from sightline.evaluation.protocols import Protocol
from sightline.foundation.errors import InputError

APPROXIMATE_SEED = 1234


@dataclass(frozen=True)
class Case:
    """Views of one object, as indices into its capture."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class CaseRule:
    """How the cases of each object are made.

    Targets are all views but the sources: every K-th of them, or one alone that is drawn at random.
    """

    sources: SourceRule
    every: int = 1
    approximate: bool = False
    """one target for each object, the same one in every evaluation (pixelNeRF's eval_approx)"""
    split: str | None = None
    """targets are of this split of the object's own, where its folders or the rule of sources tell splits"""
    trained: frozenset[str] = frozenset()
    """ids of objects that were trained on, whose held-out views alone are targets"""

    def cases(
        self, entry: CollectionObject, capture: Capture, protocol: Protocol, most_sources: int | None = None
    ) -> list[Case]:
        """Make the cases of an object.

        Raises:
            InputError: source views that do not exist, more than the method takes, or no view to predict.
        """
        if self.every < 1:
            raise InputError(
                f"Each {self.every}-th view cannot be taken", where="--every", fix="Give 1 or more"
            )
        candidates = [
            index for index in self._candidates(entry, capture) if not _left_out(protocol, capture, index)
        ]
        found = []
        for sources in self.sources.choose(entry, capture):
            check_sources(sources, most_sources, "the method")
            targets = tuple(index for index in candidates if index not in sources)[:: self.every]
            if self.approximate and targets:
                targets = (targets[self._drawn(entry.id, len(targets))],)
            if targets:
                found.append(Case(sources, targets))
        if not found:
            raise InputError(
                f"The object {entry.id!r} has no view to predict: all of its {len(capture)} are sources",
                where=capture.path,
                fix="Give fewer source views",
            )
        return found

    def _candidates(self, entry: CollectionObject, capture: Capture) -> tuple[int, ...]:
        told = self.split is not None and (
            self.sources.split is not None or entry.id in self.trained or states_split(capture, self.split)
        )
        members = capture.splits.get(self.split or "", ()) if told else ()
        return members or tuple(range(len(capture)))

    def _drawn(self, id: str, count: int) -> int:
        # By the object's id, so that neither order nor a stop in between changes what is drawn.
        generator = np.random.default_rng([APPROXIMATE_SEED, zlib.crc32(id.encode())])
        return int(generator.integers(count))


def _left_out(protocol: Protocol, capture: Capture, index: int) -> bool:
    stem = PurePosixPath(capture.image_names[index]).stem
    return stem.isdecimal() and protocol.leaves_out(capture.format, int(stem))
