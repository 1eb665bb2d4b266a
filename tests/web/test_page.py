"""The page in a real browser: Debian's chromium, driven by playwright."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, expect, sync_playwright

import dream
from dream.core.events import Saved
from dream.core.request import Request
from dream.line import parse_line
from dream.session import list_unused_settings
from tests.web.serving import Served, serve_fake, serve_session
from tests.web.test_own_api import Held, png

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")

PATIENCE = 30_000
"""Milliseconds; a slow machine is no failure."""
expect.set_options(timeout=PATIENCE)
DROP = """async ([bytes, name, type]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, {type}));
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serve_fake(tmp_path) as served:
        yield served


@contextmanager
def opened(browser: Browser, served: Served, **options: Any) -> Iterator[Page]:
    """A tab of the page, in which nothing may go wrong."""
    options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | options
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if message.type == "error" else None,
    )
    page.goto(f"{served.url}/")
    expect(page.locator("#model")).not_to_be_empty()
    yield page
    context.close()
    expected = ("Failed to load resource",)  # a refused line, which the page explains
    assert [text for text in wrong if not text.startswith(expected)] == []


def enter(page: Page, line: str) -> None:
    page.fill("#line", line)
    page.press("#line", "Enter")


def test_a_line_is_checked_completed_and_made(browser: Browser, served: Served) -> None:
    with opened(browser, served) as page:
        page.locator("#line").press_sequentially("a cat -n2 --ste")
        expect(page.locator("#offers li")).to_have_count(1)
        page.keyboard.press("Tab")
        assert page.input_value("#line") == "a cat -n2 --steps"
        page.keyboard.type(" 4")
        expect(page.locator("#check")).to_have_text("2 images, 64×64, 4 steps")
        page.keyboard.press("Enter")
        expect(page.locator(".tile img")).to_have_count(2)
        assert page.input_value("#line") == ""
        page.keyboard.press("ArrowUp")
        assert page.input_value("#line") == "a cat -n2 --steps 4"
        enter(page, "a cat -s0")
        expect(page.locator("#check")).to_contain_text("9: -s takes a whole number")
        assert page.input_value("#line") == "a cat -s0", "what was refused is still there"


def test_the_live_picture_cancel_and_reload(browser: Browser, tmp_path: Path) -> None:
    engine = Held()
    with serve_fake(tmp_path, engine) as served, opened(browser, served) as page:
        enter(page, "first -n3")
        enter(page, "second")
        enter(page, "third")
        expect(page.locator("#preview")).to_have_attribute("src", re.compile("/preview"))
        expect(page.locator("#now-text")).to_contain_text("image 1 of 3 · step 1/3")
        page.reload()
        expect(page.locator("#now-line")).to_have_text("first -n3")
        expect(page.locator("#now-text")).to_contain_text("step 1/3")
        expect(page.locator("#waiting li")).to_have_count(2)
        page.get_by_role("button", name="Earlier: third").click()
        expect(page.locator("#waiting li").first).to_contain_text("third")
        page.get_by_role("button", name="Cancel this line: second").click()
        expect(page.locator("#waiting li")).to_have_count(1)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.locator("#messages")).to_contain_text("Cancelled: 0/3")
        engine.go.set()
        page.get_by_role("button", name="Resume").click()
        expect(page.locator(".tile img")).to_have_count(1)


def test_two_tabs_show_one_session(browser: Browser, served: Served) -> None:
    with opened(browser, served) as one, opened(browser, served) as other:
        enter(one, "a cat -S5")
        expect(other.locator(".tile img")).to_have_attribute("alt", "a cat")
        expect(one.locator(".tile img")).to_have_count(1)
        other.locator(".tile").click()
        expect(other.locator("#viewer")).to_be_visible()
        name = "000001.5.png"
        served.http.request("DELETE", f"/api/pictures/{name}", json={"confirm": name})
        for tab in (one, other):
            expect(tab.locator(".tile")).to_have_count(0)
            expect(tab.locator("#viewer")).to_be_hidden()


def test_each_tab_keeps_its_line(browser: Browser, served: Served) -> None:
    with opened(browser, served) as one:
        one.fill("#line", "a cat")
        other = one.context.new_page()
        other.goto(f"{served.url}/")
        expect(other.locator("#line")).to_have_value("a cat")
        other.fill("#line", "a dog")
        one.reload()
        expect(one.locator("#line")).to_have_value("a cat")


def test_more_images_than_a_page_come_while_a_tab_is_away(browser: Browser, served: Served) -> None:
    with opened(browser, served) as page:
        served.make("first -s1")
        expect(page.locator(".tile")).to_have_count(1)
        page.context.set_offline(True)
        served.make("others -s1 -n65")
        page.context.set_offline(False)
        served.make("last -s1")
        expect(page.locator(".tile")).to_have_count(67)


def test_what_can_be_done_with_an_image(browser: Browser, served: Served) -> None:
    served.make("a cat -S5")
    with opened(browser, served) as page:

        def choose(action: str) -> str:
            page.locator(".tile").first.click()
            page.locator("#actions").get_by_text(action, exact=True).click()
            expect(page.locator("#viewer")).to_be_hidden()
            expect(page.locator("#line")).to_be_focused()
            return page.input_value("#line")

        assert "-S5" in choose("Edit its line")
        assert "-v0.1" in (varied := choose("Variations")) and "-n4" in varied and "-S5" in varied
        assert choose("Upscale ×2") == "!fix 000001.5.png -U2"
        assert "-I 000001.5.png" in (begun := choose("Start from it")) and "-f0.6" in begun
        assert "-S" not in begun
        page.locator(".tile").first.click()
        page.get_by_role("button", name="Details").click()
        expect(page.locator("#facts")).to_contain_text("sha256")
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("button", name="Cancel", exact=True).last.click()
        expect(page.locator("#viewer")).to_be_visible()
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.locator(".tile")).to_have_count(0)
        assert not (served.session.outdir / "000001.5.png").exists()


def test_sliders_write_switches_and_read_them(browser: Browser, served: Served) -> None:
    with opened(browser, served) as page:
        page.fill("#line", "a cat -s 9 -n2")
        page.get_by_role("button", name="Options").click()
        steps = page.locator("#options input[type=number]").first
        expect(steps).to_have_value("9")
        steps.fill("12")
        steps.press("Enter")
        expect(page.locator("#line")).to_have_value("a cat -s12 -n2")
        page.locator("#options").get_by_label("Size").select_option("128×128")
        expect(page.locator("#line")).to_have_value("a cat -s12 -n2 -W128 -H128")
        page.get_by_label("Seamless tile").check()
        expect(page.locator("#line")).to_have_value(re.compile("--seamless$"))
        page.get_by_label("Seamless tile").uncheck()
        expect(page.locator("#line")).to_have_value("a cat -s12 -n2 -W128 -H128")


def test_an_image_that_ends_leaves_the_options_alone(browser: Browser, served: Served) -> None:
    with opened(browser, served) as page:
        page.fill("#line", "a cat -s 9")
        page.get_by_role("button", name="Options").click()
        steps = page.locator("#options input[type=number]").first
        expect(steps).to_have_value("9")
        seed = page.locator("#options").get_by_label("Seed")
        seed.press_sequentially("12")
        with page.expect_response("**/api/state"):
            served.make("a dog")
        expect(page.locator(".tile")).to_have_count(1)
        with page.expect_response("**/api/models"):
            served.make("!set -n1")
        page.wait_for_timeout(300)  # what is redrawn would be by now
        expect(seed).to_be_focused()
        expect(seed).to_have_value("12")
        served.make("!switch twin")
        expect(page.locator("#model")).to_have_value("twin")
        expect(steps).to_have_value("9")


def test_a_foreign_image_is_read_and_used(browser: Browser, served: Served) -> None:
    sample = next(Path("tests/data/foreign").glob("a1111*.png")).read_bytes()
    with opened(browser, served) as page:
        page.evaluate(DROP, [list(sample), "x.png", "image/png"])
        page.get_by_role("button", name="Read how it was made").click()
        expect(page.locator("#line")).not_to_have_value("")
        page.fill("#line", "a cat")
        page.evaluate(DROP, [list(png((64, 64))), "x.png", "image/png"])
        page.get_by_role("button", name="Start from it (-I)").click()
        expect(page.locator("#line")).to_have_value(re.compile(r"a cat -I inputs/\w{16}\.png"))
        enter(page, page.input_value("#line"))
        expect(page.locator(".tile img")).to_have_count(1)


@pytest.mark.parametrize(
    ("options", "word", "details"),
    [
        ({"color_scheme": "light"}, "Gallery", "Details"),
        ({"color_scheme": "dark", "locale": "zh-CN"}, "图库", "详情"),
        (
            {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
            "Gallery",
            "Details",
        ),
    ],
    ids=["light", "dark and Chinese", "phone"],
)
def test_everybody_can_use_it(
    browser: Browser, served: Served, options: dict[str, Any], word: str, details: str
) -> None:
    served.make("a cat -S5")
    with opened(browser, served, **options) as page:
        expect(page.locator("#gallery-title")).to_have_text(word)
        page.locator("#toggle-options").click()
        enter(page, "!help")
        expect(page.locator("#answer dt").first).to_be_visible()
        page.locator("#line").press_sequentially("a cat --s")
        expect(page.locator("#offers li").first).to_be_visible()
        assert find_barriers(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, "nothing is cut, and nothing scrolls sideways"
        page.locator(".tile").first.click()
        page.locator("#actions").get_by_text(details, exact=True).click()
        page.locator("#facts dt").first.wait_for()
        assert find_barriers(page) == []
        page.keyboard.press("Escape")
        if "color_scheme" in options:
            theme = page.evaluate("document.documentElement.dataset.theme")
            assert theme == options["color_scheme"]


def find_barriers(page: Page) -> list[str]:
    """Serious findings of axe-core."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]} {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_the_keyboard_is_enough(browser: Browser, served: Served) -> None:
    with opened(browser, served) as page:
        page.keyboard.type("a cat -S5")
        page.keyboard.press("Enter")
        expect(page.locator(".tile")).to_have_count(1)
        page.keyboard.press("Escape")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className") == "tile":
                break
        page.keyboard.press("Enter")
        expect(page.locator("#viewer")).to_be_visible()
        page.locator("#actions").get_by_text("Paint a mask").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#masker")).to_be_visible()
        expect(page.locator("#canvas")).to_be_focused()
        for key in ("ArrowLeft", "Space", "ArrowUp", "Space", "i", "i", "z", "+", "-", "e", "e"):
            page.keyboard.press(key)
        page.get_by_role("button", name="Use this mask").press("Enter")
        expect(page.locator("#line")).to_have_value(re.compile(r"-M inputs/\w{16}\.png"))


def test_the_gallery_by_keyboard_alone(browser: Browser, served: Served) -> None:
    served.make("a cat -S5")
    served.make("a dog -S6")
    with opened(browser, served) as page:
        expect(page.locator(".tile")).to_have_count(2)

        def tab_to(name: str, key: str = "Tab") -> None:
            for _ in range(60):
                focused = "document.activeElement.textContent || document.activeElement.className"
                if page.evaluate(f"({focused}).trim()") == name:
                    return
                page.keyboard.press(key)
            raise AssertionError(f"no Tab comes to {name}")

        page.keyboard.press("Escape")
        tab_to("tile")
        page.keyboard.press("Enter")
        expect(page.locator("#viewer-title")).to_have_text("000002.6.png")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#viewer-title")).to_have_text("000001.5.png")
        tab_to("Details")
        page.keyboard.press("Enter")
        expect(page.locator("#facts")).to_contain_text("sha256")
        tab_to("Upscale ×2", "Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#line")).to_have_value("!fix 000001.5.png -U2")
        page.fill("#line", "")
        page.keyboard.press("Escape")
        tab_to("tile")
        page.keyboard.press("Enter")
        tab_to("Upscale ×2")
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".tile")).to_have_count(3)
        assert page.input_value("#line") == "", "it is made at once"
        page.locator(".tile").first.focus()
        page.keyboard.press("Enter")
        tab_to("Delete…")
        page.keyboard.press("Enter")
        assert find_barriers(page) == []
        tab_to("Delete")
        page.keyboard.press("Enter")
        expect(page.locator(".tile")).to_have_count(2)


def test_a_mask_by_touch(browser: Browser, served: Served) -> None:
    served.make("a cat -W128 -H128")
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, served, **phone) as page:
        page.locator(".tile").tap()
        page.get_by_role("button", name="Paint a mask").tap()
        canvas = page.locator("#canvas")
        expect(canvas).to_be_visible()
        assert find_barriers(page) == []
        assert not page.evaluate("document.querySelector('#masker').scrollWidth > innerWidth")
        fingers = page.context.new_cdp_session(page)

        def place(x: float, y: float) -> dict[str, float]:
            area = canvas.bounding_box()
            assert area is not None
            return {
                "x": area["x"] + area["width"] * x / 128,
                "y": area["y"] + area["width"] * y / 128,
            }

        def touch(kind: str, *places: tuple[float, float]) -> None:
            points = [place(*at) | {"id": n} for n, at in enumerate(places)]
            fingers.send(
                "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
            )

        def stroke(*places: tuple[float, float]) -> None:
            touch("Start", places[0])
            for at in places[1:]:
                touch("Move", at)
            touch("End")

        # A tap on a button becomes a click some time later, maybe after the next stroke.
        stroke((20, 30), (60, 30))
        stroke((20, 100), (60, 100))
        page.get_by_role("button", name="Undo").click()
        touch("Start", (100, 100))
        touch("Start", (100, 100), (110, 110))
        touch("End")  # two fingers move the image
        page.get_by_role("button", name="Eraser").click()
        stroke((40, 30), (40, 31))
        page.get_by_role("button", name="Brush").click()
        page.get_by_role("button", name="Zoom out").click()
        stroke((100, 30), (101, 30))
        page.get_by_role("button", name="Invert").click()
        page.get_by_role("button", name="Use this mask").click()
        expect(page.locator("#line")).to_have_value(re.compile("-M inputs/"))
        found = re.search(r"-M (inputs/\w{16}\.png)", page.input_value("#line"))
    assert found is not None
    mask = Image.open(served.session.outdir / found[1])
    assert mask.size == (128, 128)
    kept = {at for at in ((22, 30), (58, 30), (100, 30)) if mask.getpixel(at)[3] == 255}
    made = {at for at in ((40, 30), (40, 100), (100, 100), (5, 120)) if mask.getpixel(at)[3] == 0}
    assert len(kept) == 3, "what was painted is kept, since the mask was inverted"
    assert len(made) == 4, "what was erased, undone, or touched with two fingers is not painted"


SPOKEN = (
    *("a cat -n3 -U2", "a cat -s0 ", "a cat -s ", "a cat --seamless=3 ", "a cat -S-9 ", "a cat -I"),
    *("a cat -f2 ", "a cat -C0.5 ", "a cat -A k_eule ", "a cat --stps 3 ", "a cat --s 3 "),
    *('"a cat"-s3 ', '"a cat ', "a cat -o x ", '"a cat" dog ', "a cat -s3 dog ", "a cat -W 3 "),
    *("a cat --model foo ", "a cat -I ../x.png ", "a cat -n1000 ", "a cat -U8 -W4096 -H4096 "),
    *("a cat \u2013n3", "a cat -n3\uff0c5", "\uff01models", "!foo ", "!import_model x ", "!fix"),
    *("a cat -V 3:0.1 ", "a cat -S-1 ", "a cat --lora foo ", "a cat -v "),
)
"""Lines of which the page says something in whole sentences."""
UNUSED = (
    "a -ft codeformer",
    "a -ft x -cf 0",
    "a -G -cf 0",
    "a --upscaler x",
    "a -embiggen_strength 1",
)
"""Lines with settings that have no effect."""


def test_what_dream_says_is_chinese_on_a_chinese_page(browser: Browser, served: Served) -> None:
    said = [served.post("/api/check", line=line).json()["text"] for line in SPOKEN]
    said += [note for line in UNUSED for note in list_unused_settings(parse_line(line), Request())]
    with opened(browser, served, locale="zh-CN") as page:
        translated = page.evaluate(
            "async (all) => { const { toChinese } = await import('/static/messages.js');"
            " return all.map(toChinese); }",
            said,
        )
        english = re.compile(r"(?<![\w-])(the|is|are|takes|not|to|of|use|put|images?|steps?)\b")
        assert [text for text in translated if english.search(text)] == []
        assert all(re.search("[\u4e00-\u9fff]", text) for text in translated), translated
        page.fill("#line", "a cat -s0 ")
        expect(page.locator("#check")).to_have_text(
            "9: -s 的值应为 1 到 1000 之间的整数，而不是“0”"
        )
        page.fill("#line", "a cat -W100 -n2")
        expect(page.locator("#check")).to_have_text("2 张图像，96×64，3 步")
        page.keyboard.press("Enter")
        expect(page.locator("#messages")).to_contain_text(
            "width 从 100 变为 96：模型要求是 8 的倍数"
        )
        enter(page, "!foo")
        expect(page.locator("#check")).to_contain_text("“!foo”不是命令")


def test_the_page_says_itself_what_goes_wrong_in_the_browser(
    browser: Browser, served: Served
) -> None:
    served.make("a cat -S5")
    with opened(browser, served, locale="zh-CN") as page:
        page.route("**/api/pause", lambda route: route.abort())
        page.get_by_role("button", name="暂停").click()
        expect(page.locator("#messages")).to_contain_text("dream 没有响应。本页会自动重新连接。")
        page.route("**/api/check", lambda route: route.fulfill(status=502, body="<html>"))
        page.fill("#line", "a cat")
        expect(page.locator("#check")).to_have_text("服务器返回 HTTP 502，没有说明原因。")
        page.route("**/pictures/*.png", lambda route: route.fulfill(body="no image"))
        page.locator(".tile").click()
        page.get_by_role("button", name="绘制蒙版").click()
        expect(page.locator("#messages")).to_contain_text("无法打开这张图片。")


def test_a_painted_mask_inpaints_and_nothing_else_changes(browser: Browser, tmp_path: Path) -> None:
    with dream.open(
        model="tiny", outdir=str(tmp_path / "out"), width=64, height=64, steps=2, previews=True
    ) as session:
        session.preload()
        (first,) = [event for event in session.make("a red circle -S1") if isinstance(event, Saved)]
        with serve_session(session) as served, opened(browser, served) as page:
            page.locator(".tile").click()
            page.get_by_role("button", name="Paint a mask").click()
            canvas = page.locator("#canvas")
            expect(canvas).to_be_visible()
            area = canvas.bounding_box()
            assert area is not None
            x, y, side = area["x"], area["y"], area["width"]
            page.mouse.move(x + side * 0.25, y + side * 0.3)
            page.mouse.down()
            page.mouse.move(x + side * 0.4, y + side * 0.3, steps=4)
            page.mouse.up()
            page.get_by_role("button", name="Use this mask").click()
            expect(page.locator("#line")).to_have_value(re.compile("-M inputs/"))
            enter(page, page.input_value("#line").replace("red circle", "green square") + " -f0.9")
            expect(page.locator(".tile")).to_have_count(2, timeout=120_000)
            listed = served.http.get("/api/pictures").json()["pictures"]
            after = io.BytesIO(served.http.get(f"/pictures/{listed[0]['name']}").content)
            upload = page.input_value("#line") or listed[0]["line"]
            mask_name = re.search(r"inputs/(\w{16}\.png)", upload.split("--init_mask")[-1])
            assert mask_name is not None
        mask = Image.open(tmp_path / "out" / "inputs" / mask_name[1]).getchannel("A")
        painted = mask.point(lambda value: 255 if value == 0 else 0)
        box = painted.getbbox()
        assert box is not None and box[2] < 40 and box[3] < 40, "where it was painted"
        difference = ImageChops.difference(
            Image.open(first.path).convert("RGB"), Image.open(after).convert("RGB")
        ).convert("L")
        assert difference.getbbox() is not None, "something was made anew"
        outside = ImageChops.multiply(difference.point(lambda v: 255 if v else 0), mask)
        assert outside.getbbox() is None, "outside the mask not a pixel changes"
