"""The clock of the page: which frame is shown, and how play, speed, loop and scrubbing move it."""

from dataclasses import dataclass

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass
class Playback:
    """Time within what is shown. Knows nothing of the page: the caller tells how many seconds have passed.

    num_frames, frame_rate   of what is shown; each frame lasts 1 / frame_rate
    time      seconds since the first frame, in [0, duration)
    speed     seconds of motion per second of watching
    loop      go on from the start after the last frame; otherwise stop there
    """

    num_frames: int = 1
    frame_rate: float = 30.0
    time: float = 0.0
    speed: float = 1.0
    loop: bool = True
    playing: bool = False

    @property
    def duration(self) -> float:
        """Seconds, the last frame included."""
        return self.num_frames / self.frame_rate

    @property
    def frame(self) -> int:
        """Number of the frame shown now, from 0."""
        return self.frame_at(self.frame_rate, self.num_frames)

    def frame_at(self, frame_rate: float, num_frames: int) -> int:
        """The frame that another clip shows at this time; beyond its end it stays on its last one."""
        # A frame begins at a quotient that floats miss by their last digit.
        return min(int(self.time * frame_rate + 1e-6), num_frames - 1)

    def load(self, num_frames: int, frame_rate: float) -> None:
        """Begin another clip at its first frame; speed and loop stay, and what plays goes on playing."""
        self.num_frames, self.frame_rate, self.time = num_frames, frame_rate, 0.0

    def advance(self, seconds: float) -> None:
        """Let this many seconds of watching pass."""
        if not self.playing:
            return
        self.time += seconds * self.speed
        if self.time >= self.duration:
            if self.loop:
                self.time %= self.duration
            else:
                self.seek(self.num_frames - 1)

    def seek(self, frame: int) -> None:
        """Show this frame, or the nearest one there is, and stand still."""
        self.playing = False
        self.time = min(max(frame, 0), self.num_frames - 1) / self.frame_rate

    def step(self, frames: int) -> None:
        """Show the frame so many frames later (earlier, where negative), around the ends in a loop; stand still."""
        frame = self.frame + frames
        self.seek(frame % self.num_frames if self.loop else frame)

    def toggle(self) -> None:
        """Play, or stand still. A clip that stands on its last frame plays from the start."""
        if not self.playing and self.frame == self.num_frames - 1:
            self.time = 0.0
        self.playing = not self.playing

    def wait(self, longest: float) -> float:
        """Seconds of watching until the next frame is due, at most `longest`; `longest` where nothing plays."""
        if not self.playing:
            return longest
        due = ((self.frame + 1) / self.frame_rate - self.time) / self.speed
        return min(max(due, 0.0), longest)
