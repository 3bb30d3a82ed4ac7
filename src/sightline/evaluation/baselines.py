"""Trivial predictors for methods that generalise: what their scores are to be compared with.

- `white`: a white picture.
- `copy_source`: the source view whose pose is nearest to the target's, as it is.
- `object_mean`: the mean of all views of the object itself. An oracle: it has seen the targets.
- `mean_training_image`: the mean of all pictures of the training objects.
- `mean_per_pose`: the mean, over training objects, of the picture whose pose is nearest to the target's.
- `nearest_training_object`: of the training object that looks most like the sources, the picture whose pose
  is nearest to the target's.

Where objects share their poses, `mean_per_pose` is the mean at that pose; where poses are random, each
training object gives its nearest one. `poses.pose_distances` says what nearest is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sightline.captures import Capture
from sightline.evaluation.poses import nearest_pose, poses_of
from sightline.evaluation.training_pictures import TrainingPictures, fit, thin
from sightline.evaluation.views import Background, Predict, truth_picture

MOST_COMPARED = 4
"""sources at most by which the nearest training object is found"""
OF_TRAINING = ("mean_training_image", "mean_per_pose", "nearest_training_object")


@dataclass
class Baselines:
    """The baselines of an evaluation.

    Args:
        training: pictures of the training objects; None where there are none.
        reason: why there are none.
    """

    training: TrainingPictures | None
    reason: str = "there are no training objects"
    _means: dict[str, Tensor] = field(default_factory=dict)

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Baselines that cannot be made → why."""
        return {} if self.training is not None else dict.fromkeys(OF_TRAINING, self.reason)

    def of(
        self, id: str, capture: Capture, sources: tuple[int, ...], background: Background
    ) -> dict[str, Predict]:
        """Make the predictors of one object.

        Args:
            id: of the object.
            capture: its views; predictors take indices into it.
            sources: the views that it is shown by.
            background: what its transparent pictures are put before.
        """
        poses = poses_of(capture)

        def sized(picture: Tensor, index: int) -> Tensor:
            width, height = (int(value) for value in capture.images.sizes[index])
            return fit(picture, width, height)

        def copy(index: int) -> Tensor:
            nearest = sources[nearest_pose(poses[index], poses[list(sources)])]
            return sized(truth_picture(capture, nearest, background), index)

        found: dict[str, Predict] = {
            "white": lambda index: sized(torch.ones(1, 1, 3), index),
            "copy_source": copy,
            "object_mean": lambda index: sized(self._object_mean(id, capture, background), index),
        }
        training = self.training
        if training is None:
            return found
        found["mean_training_image"] = lambda index: sized(training.mean(), index)
        found["mean_per_pose"] = lambda index: sized(training.mean_at(poses[index]), index)
        if training.has_other_than(id):
            shown = thin(sources, MOST_COMPARED)
            pictures = [truth_picture(capture, index, background) for index in shown]
            position = training.nearest(pictures, poses[shown], without=id)
            found["nearest_training_object"] = lambda index: sized(
                training.picture_at(position, poses[index]), index
            )
        return found

    def _object_mean(self, id: str, capture: Capture, background: Background) -> Tensor:
        if id not in self._means:
            total = None
            for index in range(len(capture)):
                picture = truth_picture(capture, index, background).double()
                if total is None:
                    total = picture
                else:
                    total += fit(picture, total.shape[1], total.shape[0])
            assert total is not None
            # One object at a time: the others' are not needed again.
            self._means = {id: (total / len(capture)).float()}
        return self._means[id]
