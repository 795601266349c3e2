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
    """Print the size of a page, how soon it is ready, and how soon what is under the pointer is told and drawn.

    Of both also the processor's time of the page's own thread: on a busy machine the rest is waiting.
    """
    from selenium import webdriver
    from selenium.webdriver import ActionChains

    options = webdriver.ChromeOptions()
    for word in [*OPTIONS.split(), "window-size=1400,1000"]:
        options.add_argument(f"--{word}")
    options.binary_location = shutil.which("chromium") or "chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))

    def own():
        """Seconds of the processor that the page's thread has taken for its tasks."""
        return next(
            m["value"] for m in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"] if m["name"] == "TaskDuration"
        )

    try:
        print(f"page: {path.stat().st_size / 1e6:.2f} MB")
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        ready, taken = [], []
        for _ in range(5):
            driver.get("about:blank")
            began = own()
            driver.get(path.as_uri())
            script = """const done = arguments[0], root = document.documentElement;
                (function ask() { root.dataset.ready ? done(Number(root.dataset.ready)) : setTimeout(ask, 5); })()"""
            ready.append(driver.execute_async_script(script))
            taken.append(round(1e3 * (own() - began)))
        print(f"ready after {median(ready):.0f} ms, median of {ready}; its thread's own {median(taken)} ms of {taken}")
        driver.execute_script(WATCH)
        plot, began = driver.find_element("id", "map"), own()
        for k in range(HOVERS):
            across, down = (k * 37) % 400 - 200, (k * 53) % 300 - 150
            ActionChains(driver, duration=0).move_to_element_with_offset(plot, across, down).perform()
        taken, times = 1e3 * (own() - began) / HOVERS, sorted(driver.execute_script("return times"))
        print(f"{len(times)} hovers told and drawn after {median(times):.0f} ms (slowest {times[-1]:.0f}), own {taken:.1f} ms")
    finally:
        driver.quit()


def main():
    """Make the diagram and the page, and open it."""
    explore(phase_diagram(3, 2, importance=[0.5, 1.0], density=[0.3, 0.6]))  # compiles
    diagram = seconds("diagram", lambda: phase_diagram(3, 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(folder) / "explore.html").resolve()
        seconds("explore: the page of its cells", lambda: explore(diagram, path))
        browse(path)
        seconds("its boundaries", diagram.boundaries)
        seconds("its spinodals", diagram.spinodals)
        seconds("explore where they are known", lambda: explore(diagram, path))
        browse(path)


if __name__ == "__main__":
    main()
