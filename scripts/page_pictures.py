"""Take the pictures of the page for the docs: python -m scripts.page_pictures

Needs chromium. The images on the page are those of the docs; the shipped model makes one more.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import dream
from dream.commands import COMMANDS, Context
from dream.commands.line_runner import LineRunner
from dream.options.launch_values import WebAddress
from dream.queue import LineQueue
from dream.web.access import WebOptions
from dream.web.web_server import serve

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
OTHERS = ("terminal", "page", "page-phone", "pair", "watercolor")
"""Pictures that are not of the included model, and control maps."""
WIDE = {"viewport": {"width": 1180, "height": 1000}, "color_scheme": "light", "locale": "en-US"}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "locale": "zh-CN",
    "has_touch": True,
    "is_mobile": True,
}


def main() -> None:
    """Write docs/pictures/page.png and page-phone.png."""
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(sorted(PICTURES.glob("*.png"))):
            if path.name.partition(".")[0] not in OTHERS:
                copy = Path(folder) / f"{number:06}.1.png"
                shutil.copy(path, copy)
        with dream.open(model="tiny", outdir=folder, previews=True) as session:
            queue = LineQueue(interrupt=session.engine.interrupt)
            runner = LineRunner(Context(session, list, COMMANDS, queue=queue), queue)
            with serve(runner, WebOptions(WebAddress("127.0.0.1", 0))) as server:
                runner.start()
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                    )
                    queue.put(["a yellow star on purple -n2 -S7 -s60", "a red house -U2 -S3"])
                    while (current := server.services.jobs.current) is None or not (
                        current.step is not None and current.step.step > 20
                    ):
                        time.sleep(0.1)
                    _take(browser, server.url, WIDE, "page.png", "a green moon on black -n3 -U2")
                    _take(browser, server.url, PHONE, "page-phone.png", "")
                    browser.close()
            queue.close()
            runner.wait(20)


def _take(browser: Browser, url: str, options: dict[str, object], name: str, line: str) -> None:
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(".tile img")
    page.fill("#line", line)
    page.wait_for_timeout(2500)
    page.screenshot(path=PICTURES / name)
    page.close()


if __name__ == "__main__":
    main()
