"""Looks at a page of ours in headless Chromium by WebDriver, and says what does not hold.

Usage: python look.py PAGE FOLDER     pictures go into the folder
"""

import base64
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

MOST_BYTES = 3_000_000
MOST_SECONDS = 2.0
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1600"]


class Browser:
    """A session of Chromium; leaving it ends the browser and its driver."""

    def __init__(self, **preferences):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        port = next(found[1] for line in self.driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        self.root = f"http://127.0.0.1:{port}/session"
        options = {"args": OPTIONS, "prefs": preferences}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.ask("", {"capabilities": {"alwaysMatch": always}})
        self.root += "/" + session["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            urlopen(Request(self.root, method="DELETE"), timeout=30).read()
        finally:
            self.driver.terminate()
            self.driver.wait()

    def ask(self, what, body):
        request = Request(self.root + what, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.loads(urlopen(request, timeout=120).read())["value"]

    def devtools(self, command, **parameters):
        return self.ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page):
        """Seconds until it has loaded."""
        began = time.perf_counter()
        self.ask("/url", {"url": page.resolve().as_uri()})
        return time.perf_counter() - began

    def value(self, expression):
        return self.ask("/execute/sync", {"script": f"return {expression}", "args": []})

    def complaints(self):
        return [entry["message"] for entry in self.ask("/se/log", {"type": "browser"})]

    def picture(self, file, whole=False):
        size = {"clip": dict(x=0, y=0, scale=1, **self.size()), "captureBeyondViewport": True} if whole else {}
        file.write_bytes(base64.b64decode(self.devtools("Page.captureScreenshot", **size)["data"]))

    def size(self):
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        return {"width": size["width"], "height": min(size["height"], 8_000)}


def main(page, folder):
    page, folder = Path(page), Path(folder)
    held = [check("bytes", page.stat().st_size, MOST_BYTES, "{:,}")]
    with Browser() as browser:
        browser.open(page)
        times = [browser.open(page) for _ in range(9)]
        text = browser.value("document.body.innerText")
        for scheme in ("light", "dark"):
            browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            browser.picture(folder / f"{scheme}.png")
            browser.picture(folder / f"{scheme}_whole.png", whole=True)
        narrow = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        browser.devtools("Emulation.setDeviceMetricsOverride", **narrow)
        browser.picture(folder / "narrow.png")
        wide = browser.value("document.documentElement.scrollWidth")
        browser.devtools("Emulation.clearDeviceMetricsOverride")
        printed = base64.b64decode(browser.devtools("Page.printToPDF")["data"])
        (folder / "printed.pdf").write_bytes(printed)
        held += [say(not browser.complaints(), "the browser complains of nothing"),
                 say(wide <= 390, f"on a narrow screen {wide} of 390 points wide, tables scroll by themselves"),
                 say(printed.startswith(b"%PDF"), f"prints: {len(printed):,} bytes of PDF")]
        fetched = browser.value("performance.getEntriesByType('resource').length")
        held.append(say(fetched == 0, f"{fetched} things fetched besides the page"))
    with Browser(**{"profile.managed_default_content_settings.images": 2,
                    "profile.managed_default_content_settings.javascript": 2}) as browser:
        browser.open(page)
        bare = browser.value("document.body.innerText")
        held.append(say(bare == text and len(text) > 5_000, f"without scripts and images the same {len(text):,} characters"))
        browser.picture(folder / "bare.png")
    check("seconds until it has loaded, median of 9", statistics.median(times), MOST_SECONDS, "{:.2f}")
    print(f"pictures: {folder}")
    return all(held)


def check(what, value, most, form):
    return say(value <= most, f"{what}: {form.format(value)}; at most {form.format(most)}")


def say(holds, words):
    print("ok:" if holds else "MISSED:", words)
    return holds


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(not main(*sys.argv[1:]))
