"""A headless Chromium, driven over its DevTools protocol: open a page, click, read its text, photograph it."""

import base64
import io
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

_PATIENCE = 120.0  # seconds: on a busy machine without a graphics card a picture takes its time
NAMES = ("chromium", "chromium-browser", "google-chrome")
# WebGL without a graphics card, inside a container, and no talk with the makers of the browser.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
)


def find_browser() -> str | None:
    """Path of the first of `NAMES` on PATH, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One window. Use as a context manager; the browser's own folder goes into `folder`.

    requests   addresses of everything the page has asked for over the network
    """

    def __init__(self, executable: str, folder: Path, size: tuple[int, int] = (900, 600)) -> None:
        window = f"--window-size={size[0]},{size[1]}"
        profile = folder / "profile"
        self._process = subprocess.Popen(
            [executable, *FLAGS, window, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._number = 0
        self.requests: list[str] = []
        try:
            self._connect(profile)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call("Browser.close")
        except Exception:
            self._process.kill()
        self._socket.close()
        self._process.wait(timeout=10)

    def call(self, method: str, **parameters: object) -> Any:
        """The result of one DevTools command."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=_PATIENCE))
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.requests.append(message["params"]["url"])
            elif message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return message["result"]

    def open(self, address: str) -> None:
        """Load a page."""
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self) -> str:
        """All that can be read on the page."""
        return str(self.evaluate('document.body ? document.body.innerText : ""'))

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first visible element of a CSS selector that contains the text, as a mouse does."""
        place = self.evaluate(
            f"""(() => {{
                const hits = [...document.querySelectorAll({json.dumps(selector)})];
                const hit = hits.find(e => e.textContent.includes({json.dumps(text)}) && e.offsetParent !== null);
                if (!hit) return null;
                hit.scrollIntoView({{block: "center"}});
                const box = hit.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        assert place is not None, f"nothing to click: {selector} {text!r}"
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def press(self, key: str, code: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code)

    def photograph(self) -> ndarray:
        """(height, width, 3) uint8, the window as it looks."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))

    def _connect(self, profile: Path) -> None:
        """Wait for the browser to name its port, and take hold of its window."""
        from websockets.sync.client import connect

        port_file = profile / "DevToolsActivePort"
        wait_for(lambda: port_file.is_file() and port_file.read_text().count("\n") > 0, "the browser to start")
        port = port_file.read_text().split()[0]

        def windows() -> list[dict[str, str]]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
                return [target for target in json.load(answer) if target["type"] == "page"]

        wait_for(lambda: bool(windows()), "the browser's window")
        self._socket = connect(windows()[0]["webSocketDebuggerUrl"], max_size=None)
        self.call("Network.enable")
        self.call("Page.enable")


def wait_for(condition: Any, what: str, seconds: float = _PATIENCE) -> None:
    """Return when the condition holds; an AssertionError names what did not come in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.1)
