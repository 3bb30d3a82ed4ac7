"""Choosing what is shown, of methods that see objects or scenes in source views."""

from typing import TYPE_CHECKING, Any

from sightline.foundation.errors import SightlineError
from sightline.viewer.host import Candidate, Choices, Stage
from sightline.viewer.photos import short_name
from sightline.viewer.view_panel import escaped

if TYPE_CHECKING:
    from sightline.viewer.session import Session

_MOST_OBJECTS = 500
"""that are listed; others are found by typing their name or number"""
_MOST_VIEWS = 24
"""source views that can be ticked; others are named"""
_THUMBNAIL_SIDE = 64


class ObjectPanel:
    """A folder with the object, its source views, and photos instead."""

    def __init__(self, session: "Session", choices: Choices):
        self.session, self.choices = session, choices
        self._candidate: Candidate | None = None
        self._boxes: dict[int, Any] = {}
        self._views: list[Any] = []
        gui = session.client.gui
        splits = [split for split, ids in choices.splits.items() if ids]
        shown = session.stage.export or {}
        first = shown.get("split") if shown.get("split") in splits else None
        with gui.add_folder("Object"):
            self._split = gui.add_dropdown(
                "Split", splits or ("none",), initial_value=first, visible=len(splits) > 1
            )
            self._object = gui.add_dropdown("Object", self._ids(), visible=len(self._ids()) > 1)
            if shown.get("object") in self._ids():
                self._object.value = str(shown["object"])
            self._folder = gui.add_folder("Source views", expand_by_default=False)
            self._show = gui.add_button("Show", hint="See the object in the chosen source views")
            if choices.takes_photos:
                self._upload = gui.add_upload_button(
                    "Photo instead", mime_type="image/*", hint="A photo of one object"
                )
                self._upload.on_upload(lambda _: self._take_photo())
            self._text = gui.add_markdown("")
        self._split.on_update(lambda _: self._set_split())
        self._object.on_update(lambda _: self._look_up())
        self._show.on_click(lambda _: self._choose())
        self._look_up()

    def _ids(self) -> list[str]:
        ids = list(self.choices.splits.get(str(self._split.value), ()))
        return ids[:_MOST_OBJECTS] or ["none"]

    def _set_split(self) -> None:
        self._object.options = self._ids()
        self._object.value = self._ids()[0]
        self._look_up()

    def _look_up(self) -> None:
        """List the views of the chosen object."""
        try:
            found = self.choices.look_up(str(self._object.value), str(self._split.value))
        except SightlineError as error:
            self._candidate = None
            self._tell_error(str(error))
            return
        self._candidate = found
        for handle in self._views:
            handle.remove()
        self._boxes, self._views = {}, []
        gui, photos = self.session.client.gui, found.photos
        # Those that are usual first, so that they are there where not all can be ticked.
        order = [*found.usual, *(k for k in range(len(photos)) if k not in found.usual)][:_MOST_VIEWS]
        with self._folder:
            for index in order:
                name = short_name(photos.names[index])
                box = gui.add_checkbox(name, index in found.usual)
                self._views.append(box)
                self._boxes[index] = box
                picture = photos.thumbnail(index)
                if picture is not None:
                    self._views.append(gui.add_image(picture, format="jpeg"))
        self._text.content = ""

    def _choose(self) -> None:
        if self._candidate is None:
            return
        sources = [index for index, box in self._boxes.items() if box.value]
        most = self.choices.most_sources
        if not sources:
            self._tell_error("Choose one source view or more")
            return
        if most is not None and len(sources) > most:
            self._tell_error(f"The method sees objects in {most} view{'s' * (most > 1)}: choose no more")
            return
        id, split = str(self._object.value), str(self._split.value)
        self._see(lambda: self.choices.choose(id, split, sorted(sources)))

    def _take_photo(self) -> None:
        file = self._upload.value
        self._see(lambda: self.choices.take(file.name, file.content))

    def _see(self, make: Any) -> None:
        """Let the worker see something else, and show it."""
        self._text.content = "Looking at the source views"
        self._show.disabled = True

        def job() -> None:
            try:
                stage: Stage = make()
            except SightlineError as error:
                self._tell_error(str(error))
            except Exception as error:  # the viewer goes on with what it shows
                self._tell_error(f"{type(error).__name__}: {error}")
            else:
                if not self.session.closed:
                    self.session.set_stage(stage, move=True)
                    self._text.content = escaped(f"Shown: {stage.name}")
            finally:
                self._show.disabled = False

        self.session.scheduler.call(job)

    def _tell_error(self, text: str) -> None:
        self._text.content = f"**{escaped(text)}**"
