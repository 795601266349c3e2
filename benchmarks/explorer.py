"""Time the explorer: a 100 × 100 diagram of 3→2, its page, how soon a browser shows it and answers a hover.

Run ``python benchmarks/explorer.py`` where Chromium and its driver are installed (``pip install ".[explore,benchmark]"``).
"""

import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time

from phasediag import explore, phase_diagram

OPTIONS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
HOVERS = 60
WATCH = """
window.times = [];
let began = 0;
const map = document.getElementById("map"), box = document.getElementById("hover");
map.addEventListener("pointermove", () => { began = performance.now(); }, true);
new MutationObserver(() => {
    const at = began;
    requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - at)));
}).observe(box, {childList: true, characterData: true, subtree: true});
"""


def seconds(what, work):
    """Print the CPU seconds of some work, and return what it gives."""
    began = process_time()
    done = work()
    print(f"{what}: {process_time() - began:.1f} s of CPU")
    return done


def browse(path):
    """Print how soon a page is ready, and how soon what is under the pointer is told and drawn."""
    from selenium import webdriver
    from selenium.webdriver import ActionChains

    options = webdriver.ChromeOptions()
    for word in [*OPTIONS.split(), "window-size=1400,1000"]:
        options.add_argument(f"--{word}")
    options.binary_location = shutil.which("chromium") or "chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        ready = []
        for _ in range(5):
            driver.get("about:blank")
            driver.get(path.as_uri())
            script = """const done = arguments[0], root = document.documentElement;
                (function ask() { root.dataset.ready ? done(Number(root.dataset.ready)) : setTimeout(ask, 5); })()"""
            ready.append(driver.execute_async_script(script))
        print(f"ready after {median(ready):.0f} ms, median of {ready}")
        driver.execute_script(WATCH)
        plot = driver.find_element("id", "map")
        for k in range(HOVERS):
            across, down = (k * 37) % 400 - 200, (k * 53) % 300 - 150
            ActionChains(driver, duration=0).move_to_element_with_offset(plot, across, down).perform()
        times = sorted(driver.execute_script("return times"))
        print(f"{len(times)} hovers told and drawn after {median(times):.0f} ms (median), {times[-1]:.0f} ms (slowest)")
    finally:
        driver.quit()


def main():
    """Make the diagram and the page, and open it."""
    explore(phase_diagram(3, 2, importance=[0.5, 1.0], density=[0.3, 0.6]))  # compiles
    diagram = seconds("diagram", lambda: phase_diagram(3, 2))
    seconds("page of the cells alone", lambda: explore(diagram, curves=False))
    seconds("its boundaries", diagram.boundaries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "explore.html"
        seconds("explore: spinodals and page", lambda: explore(diagram, path))
        seconds("explore where all is known", lambda: explore(diagram))
        print(f"page: {path.stat().st_size / 1e6:.2f} MB")
        browse(path.resolve())


if __name__ == "__main__":
    main()
