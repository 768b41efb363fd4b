"""The page as a person meets it: in a headless Chromium, with mouse and keyboard. Skipped where there is none."""

import re
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import Browser, find_browser, wait_for

from motiongan.body.smpl import load_body
from motiongan.motion.store import MotionFile, write_clips
from motiongan.viewer.page import Page

pytest.importorskip("viser", reason="viser is not installed (extra [view])")

from motiongan.viewer.server import start_server, stop_server

SAME = 0.005  # share of the scene; another resolution of the page changes 0.0014 of it, a body 0.03
ALERTS = "[...document.querySelectorAll('[role=alert]')]"
SCENE = (slice(60, None), slice(0, 480))  # rows and columns of the window that the controls do not cover


@pytest.fixture(scope="module")
def served(tmp_path_factory, make_clip):
    """A page of three clips, one of them broken, beside a second file; its server, and the folder of the files."""
    if find_browser() is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    folder = tmp_path_factory.mktemp("page")
    walk, squat = (make_clip(i, num_frames=60, action=action) for i, action in enumerate(("walk", "squat")))
    broken = make_clip(2, num_frames=10, action="walk", subject="<b>ben</b>")
    broken.trans[3] = np.nan
    write_clips(folder / "new.h5", [walk, squat, broken], kind="sample")
    write_clips(folder / "old.h5", [make_clip(i, action=a) for i, a in enumerate(("squat", "walk"))], kind="sample")
    server = start_server("127.0.0.1", 0)
    with MotionFile(folder / "new.h5") as file, MotionFile(folder / "old.h5") as against:
        page = Page(server, file, load_body(), against)
        loop = threading.Thread(target=page.run, daemon=True)
        loop.start()
        try:
            yield page, server, folder
        finally:
            page.stop()
            loop.join(timeout=10)
            stop_server(server)


@pytest.fixture(scope="module")
def page_in_browser(served):
    """The page, and the browser that shows it."""
    page, server, folder = served
    with Browser(find_browser(), folder) as browser:
        browser.open(f"http://127.0.0.1:{server.get_port()}")
        wait_for(lambda: "Playback" in browser.text() and "mean speed" in browser.text(), "the controls")
        yield page, browser


def still(browser):
    """The scene when nothing changes in it any more, and no remark covers it."""
    pictures = [browser.photograph()[SCENE]]

    def at_rest():
        # That it draws without a graphics card is told at any time, on slow machines late.
        told = browser.evaluate(f"{ALERTS}.map(alert => alert.querySelector('button')?.click()).length")
        pictures.append(browser.photograph()[SCENE])
        still_told = browser.evaluate(f"{ALERTS}.length")
        return not told and not still_told and np.abs(pictures[-1].astype(int) - pictures[-2]).max() <= 2

    wait_for(at_rest, "the scene to come to rest")
    return pictures[-1]


def changed_share(before, after):
    """Share of the picture's parts, 8 x 8 pixels each, that differ visibly.

    Not of its pixels: on a slow machine the page draws at a lower resolution from some moment on.
    """
    rows, columns = (size // 8 for size in before.shape[:2])
    parts = [
        picture[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8, 3).mean((1, 3)) for picture in (before, after)
    ]
    return (np.abs(parts[0] - parts[1]).max(-1) > 24).mean()


def changed_from(before, browser, share):
    """The scene at rest, once it differs from the one before: what the page was told may not be drawn yet."""
    after = [before]

    def changed():
        after[0] = still(browser)
        return changed_share(before, after[0]) > share

    wait_for(changed, "the scene to change")
    return after[0]


def choose(browser, shown, option):
    """Open the list that now shows a text and take an option of it."""
    browser.evaluate(f"[...document.querySelectorAll('input')].find(e => e.value.startsWith('{shown}')).id = 'wanted'")
    browser.click("#wanted")
    wait_for(lambda: browser.evaluate("document.querySelectorAll('[role=option]').length"), "the list to open")
    browser.click("[role=option]", option)
    browser.evaluate("document.querySelector('#wanted').removeAttribute('id')")


def actions_on(browser):
    """The actions of the two people, as the table of figures tells them."""
    row = re.search(r"action\s+(\w+)\s+(\w+)", browser.text())
    return row.groups() if row else ()


def test_the_page_shows_two_people_on_a_ground(page_in_browser):
    _, browser = page_in_browser

    def two_people():  # the first one's body is blue, the other one's sand
        red, _, blue = np.moveaxis(still(browser).astype(int), -1, 0)
        return (blue > red + 40).mean() > 0.005 and (red > blue + 40).mean() > 0.005

    wait_for(two_people, "two people in their colours")
    assert len(np.unique(still(browser).reshape(-1, 3), axis=0)) > 500
    for text in ("new.h5", "old.h5 (beside)", "1 of 3 listed", "60 frames"):
        wait_for(lambda text=text: text in browser.text(), text)


def test_playing_moves_the_body_and_pausing_holds_it(page_in_browser):
    page, browser = page_in_browser
    before = still(browser)
    browser.click("button", "Play")
    wait_for(lambda: 5 < page.playback.frame < 55, "some frames to pass")
    wait_for(lambda: "Pause" in browser.text(), "the button to say what it does now")
    browser.press(" ", "Space")
    wait_for(lambda: not page.playback.playing, "the space bar to pause")
    held = page.playback.frame
    for _ in range(10):  # the loop may have been stopped where it began
        browser.press("ArrowRight", "ArrowRight")
    wait_for(lambda: page.playback.frame == (held + 10) % 60, "the arrow to go ten frames on")
    changed_from(before, browser, 0.01)
    frame, picture = page.playback.frame, still(browser)
    assert changed_share(picture, still(browser)) < SAME
    assert page.playback.frame == frame


def test_the_filter_lists_the_clips_of_an_action(page_in_browser):
    page, browser = page_in_browser
    choose(browser, "all actions", "squat (1)")
    wait_for(lambda: "1 of 1 listed; number 1 of the file" in browser.text(), "the list of squats")
    wait_for(lambda: page.playback.frame == 0, "the clip to begin")
    wait_for(lambda: actions_on(browser) == ("squat", "squat"), "the figures of both squats")
    choose(browser, "squat", "all actions (3)")
    wait_for(lambda: "of 3 listed" in browser.text(), "the whole list")
    assert "2 of 3 listed; number 1 of the file" in browser.text()  # who watches a clip goes on watching it
    assert actions_on(browser) == ("squat", "squat")


def test_a_clip_that_cannot_be_shown_is_told_and_the_last_one_stays(page_in_browser):
    page, browser = page_in_browser
    before = still(browser)
    browser.click("button", "Next")
    wait_for(lambda: "clip 2 holds NaN" in browser.text(), "the reason")
    assert changed_share(before, still(browser)) < SAME
    browser.click("button", "Next")
    wait_for(lambda: actions_on(browser) == ("walk", "walk"), "the next clip's figures")
    assert "1 of 3 listed; number 0 of the file" in browser.text()
    assert "holds NaN" not in browser.text()
    browser.click("button", "Play")
    wait_for(lambda: page.playback.frame > 2, "it to play")


def test_the_skeleton_takes_the_place_of_the_body(page_in_browser):
    page, browser = page_in_browser
    browser.press(" ", "Space")
    wait_for(lambda: not page.playback.playing, "the space bar to pause")
    before = still(browser)
    browser.click("[role=tab]", "Show")
    choose(browser, "body", "skeleton")
    wait_for(lambda: page.marks.figure == "skeleton", "the choice")
    after = changed_from(before, browser, 0.01)
    dark = after.astype(int).max(-1) < 110
    assert dark.mean() > 0.001  # the skeletons' trunks and heads are dark, the bodies are not


def test_an_exported_glb_shows_and_moves_in_the_page(served, page_in_browser, tmp_path):
    from motiongan.exports.exporting import export_motion

    _, server, folder = served
    page, browser = page_in_browser
    assert not page.playback.playing  # what moves below is the exported body alone
    (glb, _) = export_motion([folder / "new.h5"], "glb", tmp_path / "out", clips="0").files
    before = still(browser)
    shown = server.scene.add_glb("/exported", glb.read_bytes(), scale=1.5)
    try:
        wait_for(lambda: changed_share(before, browser.photograph()[SCENE]) > 0.01, "the exported body")
        first = browser.photograph()[SCENE]
        wait_for(lambda: changed_share(first, browser.photograph()[SCENE]) > 0.01, "its animation")
    finally:
        shown.remove()
    # The page takes it away when the message arrives: a picture taken sooner may show it standing still.
    wait_for(lambda: changed_share(before, still(browser)) < SAME, "the exported body to leave")


def test_nothing_is_asked_of_any_other_machine(page_in_browser):
    _, browser = page_in_browser
    places = {urlsplit(address) for address in browser.requests}
    assert {place.hostname for place in places if place.scheme not in ("data", "blob")} == {"127.0.0.1"}
