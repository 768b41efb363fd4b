"""The page: its controls, what they do, and the loop that keeps picture and clock together."""

import html
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from motiongan.errors import MotionganError
from motiongan.viewer.catalogue import NO_LABEL, Catalogue
from motiongan.viewer.chooser import Chooser
from motiongan.viewer.figures import ClipFigures, measure, table
from motiongan.viewer.person import FIGURES, Marks
from motiongan.viewer.playback import SPEEDS, Playback
from motiongan.viewer.posed_clip import PosedClip, pose_clip
from motiongan.viewer.stage import Stage
from motiongan.viewer.timeline import timeline

if TYPE_CHECKING:
    import viser

    from motiongan.body.smpl import Body
    from motiongan.motion.store import MotionFile

_IDLE = 0.5  # s: how long the loop sleeps when nothing moves
_LONGEST_STEP = 0.25  # s: after a pause of the machine the clock goes on from where it was
_FASTEST = 60.0  # pictures a second: more than a screen shows is not sent
_SPEED_NAMES = {f"{speed:g}×": speed for speed in SPEEDS}


class Page:
    """One motion file on a page, or two side by side.

    file, against   open motion files; `against` may be None. Only the frames of the clips shown are read
    with_shape      for each file, whether its betas belong to this body
    The browser's events arrive on viser's threads; they are queued and handled by `run` alone.
    """

    def __init__(
        self,
        server: "viser.ViserServer",
        file: "MotionFile",
        body: "Body",
        against: "MotionFile | None" = None,
        with_shape: tuple[bool, bool] = (True, True),
    ) -> None:
        self._server = server
        self._body = body
        self._files = [file] if against is None else [file, against]
        self._with_shape = with_shape
        self._names = [item.path.name for item in self._files]
        if len(set(self._names)) < len(self._names):  # runs/a/aug.h5 beside runs/b/aug.h5
            self._names = [str(item.path) for item in self._files]
        self._posed: list[PosedClip | None] = [None] * len(self._files)
        self._figures: list[ClipFigures | None] = [None] * len(self._files)
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._drawn: tuple[list[int], Marks] | None = None
        self.playback = Playback()
        self.marks = Marks()
        catalogues = [Catalogue(item) for item in self._files]

        gui = server.gui
        gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
        gui.main_panel.dock_right()
        self._stage = Stage(server, body, len(self._files))
        self._choosers: list[Chooser] = []
        self._add_choosers(gui, catalogues)
        self._add_playback_folder(gui)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Figures"):
            self._table = gui.add_html("")
        with tabs.add_tab("Show"):
            self._add_marks(gui)
        self._add_keys(gui)
        for index in reversed(range(len(self._files))):
            self._load(index, self._choosers[index].clip)

    def run(self) -> None:
        """Serve until `stop`; returns then. Ctrl-C passes through."""
        before = time.monotonic()
        while not self._stopping.is_set():
            if not self._server.get_clients():
                self._handle_events(_IDLE)  # nobody watches: the clock waits, too
                before = time.monotonic()
            else:
                self._handle_events(max(self.playback.wait(_IDLE), 1 / _FASTEST))
                now = time.monotonic()
                self.playback.advance(min(now - before, _LONGEST_STEP))
                before = now
            self._draw()

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._stopping.set()
        self._events.put(lambda: None)

    # -- controls ------------------------------------------------------------------------------------------------------

    def _add_choosers(self, gui: "viser.GuiApi", catalogues: list[Catalogue]) -> None:
        """A folder for one file, two tabs for two."""
        if len(catalogues) == 1:
            with gui.add_folder(self._names[0]):
                self._choosers.append(Chooser(gui, catalogues[0], self._events.put, lambda clip: self._load(0, clip)))
            return
        tabs = gui.add_tab_group()
        with tabs.add_tab(self._names[0]):
            self._choosers.append(Chooser(gui, catalogues[0], self._events.put, lambda clip: self._load(0, clip)))
        with tabs.add_tab(f"{self._names[1]} (beside)"):
            self._choosers.append(Chooser(gui, catalogues[1], self._events.put, lambda clip: self._load(1, clip)))
            self._same_action = gui.add_checkbox("Same action", True, hint="List the action of the first file's clip")
        self._same_action.on_update(self._user(self._follow_action))

    def _add_playback_folder(self, gui: "viser.GuiApi") -> None:
        with gui.add_folder("Playback"):
            self._play = gui.add_button("Play", icon="player-play", hint="Space")
            self._frame = gui.add_slider("Frame", 0, 1, 1, 0)
            self._timeline = gui.add_html("")
            self._clock = gui.add_html("")
            self._step = gui.add_button_group("Step", ("− 1", "+ 1"))
            self._speed = gui.add_dropdown("Speed", tuple(_SPEED_NAMES), initial_value="1×")
            self._loop = gui.add_checkbox("Loop", True)
        self._play.on_click(self._user(self.playback.toggle))
        self._frame.on_update(self._user(lambda: self.playback.seek(int(self._frame.value))))
        self._step.on_click(self._user(lambda: self.playback.step(1 if self._step.value == "+ 1" else -1)))
        self._speed.on_update(self._user(self._take_playback))
        self._loop.on_update(self._user(self._take_playback))

    def _add_marks(self, gui: "viser.GuiApi") -> None:
        self._figure = gui.add_dropdown("Figure", FIGURES, initial_value=self.marks.figure)
        boxes = {
            name: gui.add_checkbox(label, getattr(self.marks, name), hint=hint)
            for name, label, hint in (
                ("contacts", "Contacts", "Green: the heel or ball touches the ground"),
                (
                    "mass_centre",
                    "Mass centre",
                    "Cross: the centre of mass; grey its path; violet free flight that fits",
                ),
                ("joint_range", "Joint range", "Red: a joint more than 5° beyond its range of motion"),
                ("follow", "Follow", "Keep the person in the middle: the ground moves instead"),
            )
        }

        def take() -> None:
            self.marks = Marks(self._figure.value, **{name: box.value for name, box in boxes.items()})

        for control in (self._figure, *boxes.values()):
            control.on_update(self._user(take))

    def _add_keys(self, gui: "viser.GuiApi") -> None:
        keys: tuple[tuple[str, Any, Callable[[], None]], ...] = (
            ("Play or pause", "space", self.playback.toggle),
            ("One frame on", "arrowright", lambda: self.playback.step(1)),
            ("One frame back", "arrowleft", lambda: self.playback.step(-1)),
            ("Next clip", "N", lambda: self._choosers[0].next(1)),
            ("Previous clip", "P", lambda: self._choosers[0].next(-1)),
        )
        for label, key, react in keys:
            gui.add_command(label, hotkey=key).on_trigger(lambda _, react=react: self._events.put(react))

    def _user(self, react: Callable[[], None]) -> Callable[[Any], None]:
        """React to what a person does in the browser, not to what the page itself sets."""
        return lambda event: self._events.put(react) if event.client is not None else None

    def _take_playback(self) -> None:
        self.playback.speed, self.playback.loop = _SPEED_NAMES[self._speed.value], self._loop.value

    # -- clips ---------------------------------------------------------------------------------------------------------

    def _load(self, index: int, clip_number: int) -> None:
        """Read a clip and put it on; a clip that cannot be shown is told in the table, the last one stays."""
        file = self._files[index]
        try:
            clip = file[clip_number]
            if not clip.is_finite:
                raise MotionganError(f"{file.path}: clip {clip_number} holds NaN or infinity")
            posed = pose_clip(clip, self._body, with_shape=self._with_shape[index])
        except MotionganError as error:
            self._table.content = f'<div style="color:#c00;padding:0 0.6em">{html.escape(str(error))}</div>'
            return
        self._posed[index], self._figures[index] = posed, measure(posed)
        side_by_side = len(self._files) > 1
        label = f"{self._names[index]} · {clip.action or 'no label'} · {clip_number}" if side_by_side else ""
        with self._server.atomic():
            self._stage.load(index, posed, label)
        self._drawn = None
        if index == 0 and side_by_side:
            self._follow_action()
        self._start()

    def _follow_action(self) -> None:
        first = self._posed[0]
        if self._same_action.value and first is not None:
            self._choosers[1].prefer(first.clip.action or NO_LABEL)

    def _start(self) -> None:
        """Set clock, scrubber and table to the clips that are on."""
        shown = [posed for posed in self._posed if posed is not None]
        if len(shown) < len(self._posed):
            return
        rate = shown[0].frame_rate
        num_frames = max(1, round(max(posed.clip.duration for posed in shown) * rate))
        self.playback.load(num_frames, rate)
        self._frame.value = 0  # before its limit falls
        self._frame.max = num_frames - 1
        totals = [max(posed.num_frames, round(num_frames * posed.frame_rate / rate)) for posed in shown]
        names = self._names if len(shown) > 1 else [""]
        bars = [timeline(posed, total, name) for posed, total, name in zip(shown, totals, names, strict=True)]
        self._timeline.content = "".join(bars)
        figures = [figures for figures in self._figures if figures is not None]
        self._table.content = table(list(zip(self._names, shown, figures, strict=True)))

    # -- the loop ------------------------------------------------------------------------------------------------------

    def _handle_events(self, seconds: float) -> None:
        """Wait so long for an event; handle it and all that have come by then."""
        try:
            react = self._events.get(timeout=seconds)
            while True:
                react()
                react = self._events.get_nowait()
        except queue.Empty:
            return

    def _draw(self) -> None:
        """Send what has changed since the last picture."""
        shown = [posed for posed in self._posed if posed is not None]
        if len(shown) < len(self._posed):
            return
        frames = [self.playback.frame_at(posed.frame_rate, posed.num_frames) for posed in shown]
        label, icon = ("Pause", "player-pause") if self.playback.playing else ("Play", "player-play")
        if self._play.label != label:
            self._play.label, self._play.icon = label, icon
        drawn = (frames, replace(self.marks))
        if drawn == self._drawn:
            return
        self._stage.show(frames, self.marks)
        self._frame.value = self.playback.frame
        self._clock.content = (
            '<div style="font-size:0.75rem;opacity:0.65;padding:0 0.6em;font-variant-numeric:tabular-nums">'
            f"{self.playback.time:.2f} s of {self.playback.duration:.2f} s</div>"
        )
        self._drawn = drawn
