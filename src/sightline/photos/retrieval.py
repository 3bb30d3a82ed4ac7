"""Which photos may show the same: a descriptor of a whole photo from those of its features.

Vectors of locally aggregated descriptors (Jégou et al. 2010, section 3) over words that are found among the
photos themselves, so that no vocabulary has to be fetched: the square roots of SIFT descriptors (Arandjelović
and Zisserman 2012) are assigned to the nearest word, their differences from it summed, and each word's sum
normalised by itself (Arandjelović and Zisserman 2013), then the whole.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from sightline.photos.opencv import opencv

_WORDS = 64
_SAMPLES = 50_000
"""descriptors that words are found among"""
_MOST = 1500
"""descriptors of a photo that count"""


def describe_photos(
    features: Sequence[UInt8[np.ndarray, "_ 128"]], seed: int = 0
) -> Float[np.ndarray, "photos size"]:
    """Describe photos by unit vectors, whose products say how alike they are.

    Args:
        features: SIFT descriptors of each photo; one without any is like no other.
    """
    generator = np.random.default_rng(seed)
    chosen = [rooted(_thinned(part, _MOST, generator)) for part in features]
    samples = np.concatenate([np.zeros((0, 128), np.float32), *chosen])
    if len(samples) < 2:
        return np.zeros((len(features), 128), np.float32)
    samples = _thinned(samples, _SAMPLES, generator)
    words = _find_words(samples, min(_WORDS, len(samples)), seed)
    return np.stack([_aggregate(part, words) for part in chosen])


def rooted(features: np.ndarray) -> Float[np.ndarray, "n 128"]:
    """Square roots of descriptors whose entries sum to 1: their products compare histograms."""
    values = features.astype(np.float32)
    return np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1e-12))


def _thinned(rows: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return rows[np.sort(generator.choice(len(rows), most, replace=False))]


def _find_words(samples: np.ndarray, count: int, seed: int) -> np.ndarray:
    cv2 = opencv()
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 15, 1e-3)
    return cv2.kmeans(samples, count, None, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]


def _aggregate(features: np.ndarray, words: np.ndarray) -> np.ndarray:
    if not len(features):
        return np.zeros(words.size, np.float32)
    nearest = (features @ words.T - 0.5 * (words**2).sum(1)).argmax(1)
    sums = np.zeros_like(words)
    np.add.at(sums, nearest, features - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    whole = sums.reshape(-1)
    return whole / max(float(np.linalg.norm(whole)), 1e-12)
