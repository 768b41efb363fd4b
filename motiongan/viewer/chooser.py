"""The controls that choose a clip of one file: action, text, place in the list."""

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from motiongan.viewer.catalogue import Catalogue

if TYPE_CHECKING:
    import viser

_ALL = "all actions"
_PREVIOUS, _NEXT, _RANDOM = "Previous", "Next", "Random"


class Chooser:
    """Controls in the folder that is open in `gui`, and the clip that they stand on.

    submit      hands a function to the page's own thread: controls are changed nowhere else
    on_choice   called with the number of the clip in its file when another one is chosen
    """

    def __init__(
        self,
        gui: "viser.GuiApi",
        catalogue: Catalogue,
        submit: Callable[[Callable[[], None]], None],
        on_choice: Callable[[int], None],
    ) -> None:
        self._catalogue = catalogue
        self._on_choice = on_choice
        self._random = np.random.default_rng(0)
        self._chosen = catalogue.select()
        self._place = 0
        self._listed: tuple[str | None, str] = (None, "")  # action and text that the list was made by
        counts = catalogue.counts()
        self._actions: dict[str, str | None] = {f"{_ALL} ({sum(counts.values())})": None}
        self._actions |= {f"{action} ({count})": action for action, count in counts.items()}

        self._action = gui.add_dropdown("Action", tuple(self._actions))
        self._text = gui.add_text("Contains", "", hint="Part of the person or source, or a whole seed")
        self._number = gui.add_number("Clip", 1, min=1, max=len(self._chosen), step=1, hint="Place in the list")
        self._buttons = gui.add_button_group("", (_PREVIOUS, _NEXT, _RANDOM))
        self._note = gui.add_html("")

        def user(react: Callable[[], None]) -> Callable[[Any], None]:
            """React to what a person does in the browser, not to what the page itself sets."""
            return lambda event: submit(react) if event.client is not None else None

        self._action.on_update(user(self._filter))
        self._text.on_update(user(self._filter))
        self._number.on_update(user(lambda: self.go(int(self._number.value) - 1)))
        self._buttons.on_click(user(lambda: self._press(self._buttons.value)))
        self._describe()

    @property
    def clip(self) -> int:
        """Number of the chosen clip in its file."""
        return int(self._chosen[self._place])

    def go(self, place: int) -> None:
        """Choose the clip at this place in the list, from 0; the ends are joined."""
        self._place = place % len(self._chosen)
        self._number.value = self._place + 1
        self._describe()
        self._on_choice(self.clip)

    def next(self, steps: int = 1) -> None:
        """Choose the clip so many places on."""
        self.go(self._place + steps)

    def prefer(self, action: str | None) -> None:
        """List this action, where the file has it and it is not listed already; the first clip is chosen then."""
        for option, name in self._actions.items():
            if name == action and name is not None and self._action.value != option:
                self._action.value = option
                self._text.value = ""
                self._filter()

    def _press(self, button: str) -> None:
        if button == _RANDOM:
            self.go(int(self._random.integers(len(self._chosen))))
        else:
            self.next(1 if button == _NEXT else -1)

    def _filter(self) -> None:
        wanted = self._actions[self._action.value], self._text.value.strip()
        if wanted == self._listed:  # a quick typist's events arrive together
            return
        self._listed = wanted
        found = self._catalogue.select(*wanted)
        if not len(found):
            self._describe("nothing like that here: the list stays as it was")
            return
        before = self.clip
        self._chosen = found
        place = int(np.searchsorted(found, before))
        self._number.value = 1  # before its limit falls
        self._number.max = len(found)
        if place < len(found) and found[place] == before:  # still listed: keep watching it
            self._place = place
            self._number.value = place + 1
            self._describe()
        else:
            self.go(0)

    def _describe(self, instead: str = "") -> None:
        note = instead or f"{self._place + 1} of {len(self._chosen)} listed; number {self.clip} of the file"
        self._note.content = f'<div style="font-size:0.75rem;opacity:0.65;padding:0 0.6em">{html.escape(note)}</div>'
