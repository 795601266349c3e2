"""The page in a real browser: headless Chromium driven by selenium; run with ``pytest -m browser`` (.ci/run installs it)."""

import json
import os
import shutil
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from phasediag import (
    Axis,
    ControlPlane,
    NeuronModel,
    PhaseDiagram,
    ToyModel,
    expected_loss,
    explore,
    phase_diagram,
    read_weights,
    trained_phase_diagram,
)
from phasediag._drawing.regions import cell_edges, whole
from phasediag._exploring.maps import minima_of
from phasediag.theories import TIE_MARK

pytestmark = pytest.mark.browser
AXES = {"importance": np.geomspace(0.3, 3, 15), "density": np.geomspace(0.1, 1, 14)}
OPTIONS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
WAIT = 20.0
"""Seconds after which the browser has failed."""


class Browser:
    """Chromium with one of two pages open: what a person does with it, and what it then shows."""

    def __init__(self, folder):
        from selenium import webdriver

        options, self.downloads = webdriver.ChromeOptions(), folder / "downloads"
        self.downloads.mkdir()
        for word in [*OPTIONS.split(), f"user-data-dir={folder / 'profile'}", "window-size=1400,1000"]:
            options.add_argument(f"--{word}")
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, path, address=""):
        """Open a page anew, and wait until it is ready."""
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + address)
        ready = "return document.documentElement.dataset.ready || document.getElementById('failed').textContent"
        assert float(self.until(lambda: self.driver.execute_script(ready))) > 0

    def until(self, question):
        """What a question answers, asked until that is something."""
        end = time.monotonic() + WAIT
        while not (answer := question()):
            assert time.monotonic() < end, question
            time.sleep(0.02)
        return answer

    def one(self, name):
        """The element of a name."""
        return self.driver.find_element("id", name)

    def say(self, script, *arguments):
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def at(self, x, y):
        """Move the pointer to a point of the map, from where the page's own frame says that it is."""
        from selenium.webdriver import ActionChains

        place = """const map = document.getElementById("map"), box = Bokeh.index.get_one(sources.map.plot).frame.bbox;
            map.scrollIntoView();
            const {left, right, top, bottom} = box, size = map.getBoundingClientRect();
            return [left, right, top, bottom, size.width, size.height]"""
        left, right, top, bottom, width, height = self.say(place)
        (low_x, high_x), (low_y, high_y) = AXES["importance"][[0, -1]], AXES["density"][[0, -1]]
        across = left + (right - left) * np.log(x / low_x) / np.log(high_x / low_x)
        down = bottom - (bottom - top) * np.log(y / low_y) / np.log(high_y / low_y)
        return ActionChains(self.driver).move_to_element_with_offset(
            self.one("map"), round(across - width / 2), round(down - height / 2)
        )

    def press(self, *keys):
        """Press keys where the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def downloaded(self, button, ending):
        """The file that a button gives."""
        self.one(button).click()
        found = self.until(lambda: [p for p in self.downloads.iterdir() if p.suffix == ending])
        kept = found[0].rename(self.downloads.parent / f"{time.monotonic_ns()}{ending}")
        return kept

    def problems(self):
        """What the console has said since it was last asked, but for Bokeh's greeting."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "setting log level" not in entry["message"]]


@pytest.fixture(scope="module")
def diagrams():
    """The three theories of 2→1, two of them with their curves, and models trained for a few steps."""
    theories = [phase_diagram(2, 1, theory=theory, **AXES) for theory in ("global", "relaxed", "frozen")]
    for k in (0, 2):
        theories[k].spinodals()
    return [*theories, trained_phase_diagram(2, 1, n_seeds=3, n_steps=300, batch_size=64, **AXES)]


@cache
def slices():
    """Diagrams of 3→2 over two densities for three slopes, by slope."""
    base = {slope: ToyModel(2, [1.0, 1.0, 1.0], 0.5, "leaky", slope=slope) for slope in (0.0, 0.1, 0.5)}
    axes = Axis("density", [0.1, 0.4, 0.9]), Axis("density_of_2", [0.2, 0.7])
    return {slope: phase_diagram(plane=ControlPlane(model, *axes), n_starts=4) for slope, model in base.items()}


@cache
def neurons():
    """A diagram of two neurons that compute |x|."""
    base = NeuronModel(2, [1.0, 1.0], 0.5, task="absolute")
    return phase_diagram(plane=ControlPlane(base, Axis("importance", [0.4, 1.4]), Axis("density", [0.2, 0.8])))


@pytest.fixture(scope="module")
def pages(diagrams, tmp_path_factory):
    """The files of three pages: several maps, several slices, neurons."""
    folder = tmp_path_factory.mktemp("pages")
    explore(diagrams, folder / "maps.html")
    explore(slices(), folder / "slices.html", slider="slope")
    explore(neurons(), folder / "neurons.html", curves=True)
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The browser."""
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium, pages):
    """The browser with the page of several maps; afterwards its console must be silent."""
    chromium.driver.set_window_size(1400, 1000)
    chromium.open(pages / "maps.html")
    yield chromium
    assert chromium.problems() == []


def cell(diagram, x, y):
    """Row and column of the cell nearest to a point."""
    return int(np.argmin(np.abs(np.log(diagram.y / y)))), int(np.argmin(np.abs(np.log(diagram.x / x))))


@pytest.mark.parametrize("point", [(0.5, 0.3), (2.0, 0.9), (0.35, 0.95)])
def test_hover(browser, diagrams, point):
    """Under the pointer: phase, loss, what is metastable and how far above, and the spinodals of that phase."""
    diagram = diagrams[0]
    browser.at(*point).perform()
    box = browser.until(lambda: browser.one("hover").text)
    here = cell(diagram, *point)
    loss, names = diagram.loss[here], diagram.coexisting[here]
    assert f"importance {diagram.x[here[1]]:.4g}" in box and f"density {diagram.y[here[0]]:.4g}" in box
    assert f"loss {loss:.6g}" in box and diagram.phase[here] in box
    assert sum(line.endswith("% above") for line in box.splitlines()) == len(names) - 1
    for name in names[1:]:
        above = 100 * (diagram.candidate_loss[diagram.candidates.index(name)][here] / loss - 1)
        assert f"{name}: {float(f'{above:.3g}'):g} % above" in box
    expected = sum(limit.phase == diagram.phase[here] for limit in diagram.spinodals())
    assert browser.one("map").get_attribute("data-spinodals") == str(expected)


def test_click_shows_all_minima(browser, diagrams):
    """A click chooses the cell: every minimum with its loss, and its columns drawn where the weights point."""
    diagram = diagrams[0]
    browser.at(0.5, 0.3).click().perform()
    here = cell(diagram, 0.5, 0.3)
    row, column = here
    x = diagram.minima[diagram.minima_cell == row * diagram.x.size + column]
    cards = browser.driver.find_elements("css selector", "#minima > li")
    assert len(cards) == len(x) and f"{diagram.loss[here]:.7g}" in cards[0].text
    tips = browser.say(
        """return [...document.querySelectorAll("#minima svg")].map((svg) => [...svg.querySelectorAll("polygon")].map(
            (arrow) => Number(arrow.getAttribute("points").split(",")[0])))"""
    )
    drawn = {tuple(np.round(tip, 9)) for tip in tips}
    assert drawn == {tuple(np.round([w for w in one[:2] if abs(w) >= 1e-3], 9)) for one in x}
    assert diagram.phase[here] in browser.one("map-says").text
    assert browser.say("return sources['cut-x'].lowest.data.xs.flat().length") >= diagram.x.size


def test_keys(browser, diagrams):
    """Arrows move by a cell, with Shift by ten, and stop at the edge; Home goes to the least loss; + and 0 zoom; M switches."""
    from selenium.webdriver import Keys

    diagram = diagrams[0]
    browser.one("map").send_keys(Keys.ARROW_RIGHT)
    place = lambda: [float(browser.one(name).get_attribute("value")) for name in ("x", "y")]  # noqa: E731
    assert place() == pytest.approx([diagram.x[8], diagram.y[7]], rel=1e-5)
    browser.one("map").send_keys(Keys.SHIFT, Keys.ARROW_UP)
    assert place() == pytest.approx([diagram.x[8], diagram.y[13]], rel=1e-5)
    browser.one("map").send_keys(Keys.HOME)
    row, column = np.unravel_index(np.argmin(diagram.loss), diagram.loss.shape)
    assert place() == pytest.approx([diagram.x[column], diagram.y[row]], rel=1e-5)
    width = "const range = sources.map.plot.x_range; return Math.log(range.end / range.start)"
    whole = browser.say(width)
    browser.one("map").send_keys("+")
    assert browser.say(width) == pytest.approx(whole / 2)
    browser.one("map").send_keys("0")
    assert browser.say(width) == pytest.approx(whole)
    browser.at(2.0, 0.9).perform()
    browser.until(lambda: browser.one("hover").is_displayed())
    browser.one("map").send_keys("m")
    assert not browser.one("hover").is_displayed()
    assert browser.one("map-relaxed").is_selected() and "relaxed theory" in browser.one("map-title").text


WINDOW = "const {x_range, y_range} = sources.map.plot; return [x_range.start, x_range.end, y_range.start, y_range.end]"


def test_zoom_ends(browser, pages):
    """However often one zooms in, a ten-thousandth of the map is seen, with ticks; the address keeps it."""
    browser.at(0.5, 0.3).click().perform()
    whole_map = np.log(browser.say(WINDOW))
    browser.say("for (let k = 0; k < 40; k++) document.getElementById('zoom-in').click()")
    seen = np.log(browser.say(WINDOW))
    assert np.allclose((seen[1::2] - seen[::2]) / (whole_map[1::2] - whole_map[::2]), 1e-4, rtol=1e-6)
    ticks = browser.say("return [...sources.map.plot.below[0].ticker.ticks]")
    assert len({*ticks}) == len(ticks) > 1
    browser.open(pages / "maps.html", "#" + browser.driver.current_url.partition("#")[2])
    assert np.allclose(np.log(browser.say(WINDOW)), seen, atol=1e-8)


@pytest.mark.parametrize("window", ["0,0,0,0", "2,1,1,0.1", "1,1,0.5,0.5", "5,6,0.1,1", "1,1.0000001,0.1,1", "a,b,c,d"])
def test_windows_that_are_none(browser, pages, diagrams, window):
    """An address whose window is empty, turned around or beside the map shows the whole map."""
    browser.open(pages / "maps.html", f"#window={window}")
    assert browser.say(WINDOW) == pytest.approx([end for ends in whole(diagrams[0]) for end in ends])


def test_hover_across_a_boundary(browser):
    """Where the nearest cell lies across a curve, the phase is that of the pixel; what is the cell's is said to be."""
    place = """const map = current(), at = (k, axis) => {
            const [low, high] = map.window[axis].map(Math.log); return Math.exp(low + (k + 0.5) / FINE * (high - low)); };
        const across = (c, r) => { const [x, y] = [at(c, 0), at(r, 1)], there = phasesAt(map, cellAt(map, x, y).cell);
            return !names[map.image[r * FINE + c]].split(facts.tie).some((name) => there.includes(name)); };
        for (let r = 9; r < FINE - 9; r += 2) for (let c = 9; c < FINE - 9; c += 2) {
            if ([[0, 0], [3, 3], [-3, 3], [3, -3], [-3, -3]].every(([i, j]) => across(c + i, r + j))) {
                return [at(c, 0), at(r, 1), names[map.image[r * FINE + c]]];
            }
        }"""
    x, y, phase = browser.say(place)
    browser.at(x, y).perform()
    first, second, *_ = browser.until(lambda: browser.one("hover").text).splitlines()
    assert first.endswith(phase) and second.startswith("nearest cell: importance") and ", across a boundary: " in second
    assert phase not in second


def test_a_sheet_of_one_point(chromium, tmp_path):
    """In a cut of one cell every pattern is a dot."""
    diagram = phase_diagram(2, 1, theory="frozen", importance=[0.5], density=[0.3])
    explore(diagram, tmp_path / "point.html")
    chromium.open(tmp_path / "point.html")
    dots = chromium.say("return [...sources['cut-x'].dots.data.x]")
    assert len(dots) == len(diagram.candidates) and "●: a pattern of one cell" in chromium.one("cut-says").text


def test_words_of_each_map(browser):
    """Cards, the cut and the settings say what a map's minima are; what a map has not is not offered, or said why."""
    said = {}
    for name in ("trained", "frozen", "global"):
        browser.one(f"map-{name}").click()
        said[name] = browser.one("minima").text + browser.one("cut-says").text
        row, button = browser.one("spinodals-row"), browser.one("get-csv")
        assert row.is_displayed() == (name != "trained" and bool(browser.say("return current().curves_of.some((c) => c.phase)")))
        assert (button.get_attribute("title") == "") == button.is_enabled() == (name != "trained")
    assert "Model 1, by feature" in said["trained"] and "●: a model" in said["trained"]
    assert "Pattern 1, by feature" in said["frozen"] and "thin: other patterns" in said["frozen"]
    assert "Minimum 1, by feature" in said["global"] and "thin: metastable" in said["global"]
    browser.one("map-trained").click()
    settings = browser.say("return document.getElementById('settings').textContent")
    assert "n_seeds3" in settings and "n_steps300" in settings and "batch_size64" in settings


@pytest.mark.parametrize("zoomed", [0, 2, 4])
def test_letters(browser, diagrams, zoomed):
    """Letters stand within the regions that are seen, of the phase that the letter is of; zoomed in there are letters too."""
    diagram = diagrams[0]
    browser.at(0.9, 0.75).click().perform()
    for _ in range(zoomed):
        browser.one("zoom-in").click()
    script = """const {x, y, text} = sources.map.labels.data, {x_range, y_range} = sources.map.plot;
        const letters = Object.fromEntries(simple.map((name) => [letterOf(name), name]));
        return [x, y, text, letters, [x_range, y_range].flatMap(({start, end}) => [start, end])]"""
    browser.until(lambda: browser.say("return asked === 0"))
    x, y, text, phases, (left, right, low, high) = browser.say(script)
    assert len(text) > 0 and all(left < one < right for one in x) and all(low < one < high for one in y)
    there = [diagram.phase[cell(diagram, *point)] for point in zip(x, y, strict=True)]
    assert [phases[letter] for letter in text] == there


def test_every_control_is_reached_by_tab(browser):
    """Tab goes through the skip link, the controls, the map and the downloads, in the order of the page."""
    from selenium.webdriver import Keys

    browser.say("document.activeElement.blur(); scrollTo(0, 0)")
    order = []
    for _ in range(30):
        browser.press(Keys.TAB)
        order.append(browser.say("return document.activeElement.id || document.activeElement.className"))
    wanted = "skip map-global differs spinodals x y map zoom-in zoom-out zoom-all get-npz get-json get-csv cut scale".split()
    assert [name for name in order if name in wanted][: len(wanted)] == wanted


@pytest.mark.parametrize("other", ["relaxed", "frozen", "trained"])
def test_switch_and_mark(browser, diagrams, other):
    """Another map shows its own phases, and cells that differ from the first one's are marked and counted."""
    diagram = next(one for one in diagrams if one.theory == other)
    browser.one(f"map-{other}").click()
    browser.say("const one = document.getElementById('differs'); one.value = 'global'; one.dispatchEvent(new Event('change'))")
    pairs = zip(diagram.phase.ravel(), diagrams[0].phase.ravel(), strict=True)
    differ = [not {*one.split(TIE_MARK)} & {*two.split(TIE_MARK)} for one, two in pairs]
    assert browser.one("differs-count").text == f"{sum(differ)} of {diagram.loss.size}"
    marked = browser.say("return [sources.map.differs.data.x, sources.map.differs.data.y].map((list) => [...list])")
    rows, columns = np.nonzero(np.reshape(differ, diagram.loss.shape))
    assert np.array_equal(marked, [diagram.x[columns], diagram.y[rows]]) and any(differ) == (other != "relaxed")
    assert f"map={other}" in browser.driver.current_url and "differs=global" in browser.driver.current_url


@pytest.mark.parametrize("shown", ["global", "relaxed", "trained"])
def test_borders_of_cells(browser, diagrams, shown):
    """Where no curve is known, lines run between cells of different phases, and nowhere else; the legend says so."""
    diagram = next(one for one in diagrams if one.theory == shown)
    browser.one(f"map-{shown}").click()
    lines = browser.say("const {xs, ys} = sources.map.border.data; return xs.map((x, k) => [[...x], [...ys[k]]])")
    assert ("border between cells" in browser.one("lines").text) == (diagram.curves is None) == bool(lines)
    if lines:
        names, edges, windows = diagram.phase, cell_edges(diagram), whole(diagram)
        length = [np.diff(np.log(edge)) / np.log(high / low) for edge, (low, high) in zip(edges, windows, strict=True)]
        across, up = names[:, 1:] != names[:, :-1], names[1:] != names[:-1]
        place = np.log(lines) / np.log([high / low for low, high in windows])[:, None]
        wanted = (length[1] @ across).sum() + (up @ length[0]).sum()
        assert np.abs(np.diff(place, axis=2)).sum() == pytest.approx(wanted, rel=0.02)
        upright = np.array(lines)[np.abs(np.diff(place, axis=2))[:, 0, 0] < 1e-12, 0, 0]
        for x in upright:
            assert across[:, np.argmin(np.abs(np.log(edges[0][1:-1] / x)))].any()


def test_cut_of_ties(browser):
    """Losses that differ by rounding are one: they lie at 0 %, and the axis shows no rounding."""
    noise = """const map = current(), row = map.y.length - 1, n = map.x.length;
        const [first, last] = [row, row + 1].map((k) => map.start[k * n]);
        for (let k = first; k < last; k++) map.minimum_loss[k] = map.loss[0] * (1 + (k % 5) * 1e-14);
        map.loss.fill(map.loss[0], row * n, (row + 1) * n);
        choose(map.x[3], map.y[row]);
        const {lowest, metastable, plot} = sources["cut-x"];
        const ys = [lowest, metastable].flatMap(({data}) => data.ys.flatMap((y) => [...y]));
        return [Math.max(...ys), plot.y_range.end]"""
    highest, top = browser.say(noise)
    assert highest == 0 and top > 1e-3


def test_cut(browser, diagrams):
    """The thick lines of a cut along density are at 0 % and, as losses, at the losses of the diagram."""
    change = "const one = document.getElementById(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('change'))"
    browser.say(change, "cut", "y")
    points = """const {xs, ys} = sources["cut-y"].lowest.data;
        return xs.flatMap((list, k) => [...list].map((x, j) => [x, ys[k][j]]))"""
    assert np.abs(np.array(browser.say(points))[:, 1]).max() < 1e-8
    excess = """const {xs, ys} = sources["cut-y"].metastable.data, axis = sources["cut-y"].plot.left[0];
        const read = new Function("tick", axis.formatter.code);
        return [xs.flatMap((list) => [...list]), ys.flatMap((list) => [...list].map((y) => Number(read(y))))]"""
    across, above = np.array(browser.say(excess))
    cells, _, loss, _ = minima_of(diagrams[0])
    ratio = 100 * (loss / diagrams[0].loss.ravel()[cells] - 1)[cells % diagrams[0].x.size == 7]
    assert above.max() == pytest.approx(ratio.max(), rel=1e-2) and {*across} <= {*diagrams[0].y}
    browser.say(change, "scale", "loss")
    found = np.array(sorted(browser.say(points)))
    column = diagrams[0].loss[:, 7]
    assert {*found[:, 0]} == {*diagrams[0].y}
    assert np.allclose(10 ** found[:, 1], column[np.searchsorted(diagrams[0].y, found[:, 0])], rtol=1e-12)
    assert "cut=y" in browser.driver.current_url and "scale=loss" in browser.driver.current_url


def test_downloads(browser, diagrams, tmp_path):
    """The chosen point's weights as .npz and JSON are the diagram's bits; the curves are what ``save_curves`` writes."""
    diagram = diagrams[0]
    browser.at(0.5, 0.3).click().perform()
    row, column = cell(diagram, 0.5, 0.3)
    x = diagram.minima[diagram.minima_cell == row * diagram.x.size + column]
    path = browser.downloaded("get-npz", ".npz")
    arrays = np.load(path)
    assert sorted(map(tuple, np.column_stack([arrays["weights"][:, 0], arrays["bias"]]))) == sorted(map(tuple, x))
    assert arrays["loss"][0] == pytest.approx(diagram.loss[row, column], rel=1e-14)
    assert arrays["phase"][0] == diagram.phase[row, column] and arrays["axis_density"].tolist() == [diagram.y[row]]
    again = read_weights(path).weights
    assert np.array_equal(again, arrays["weights"].reshape(again.shape))  # one model stands there without its axis
    facts = json.loads(browser.downloaded("get-json", ".json").read_text(encoding="utf-8"))
    assert [one["weights"] for one in facts["minima"]] == arrays["weights"].tolist()
    assert facts["point"] == {"importance": diagram.x[column], "density": diagram.y[row]}
    diagram.save_curves(tmp_path / "curves.csv")
    assert browser.downloaded("get-csv", ".csv").read_bytes() == (tmp_path / "curves.csv").read_bytes()


def test_the_address_says_what_is_seen(browser, pages):
    """A page opened with the address of another shows the same; wrong words in it are passed over."""
    browser.at(2.0, 0.9).click().perform()
    browser.one("map-frozen").click()
    browser.one("zoom-in").click()
    address, says = browser.driver.current_url, browser.one("map-says").text
    ends = "const {x_range, y_range} = sources.map.plot; return [x_range.start, x_range.end, y_range.start, y_range.end]"
    window = browser.say(ends)
    browser.open(pages / "maps.html", "#" + address.partition("#")[2])
    assert browser.one("map-frozen").is_selected() and browser.one("map-says").text == says
    assert browser.say(ends) == pytest.approx(window, rel=1e-5)
    browser.say("location.hash = 'map=nothing&x=-1&cut=z&window=1,2'")
    browser.until(lambda: "window" not in browser.driver.current_url)
    assert browser.one("map-frozen").is_selected() and browser.one("map-says").text == says


def test_slider(chromium, pages):
    """Each step of the slider shows the diagrams of the next slice, with its value read out; axes have their own names."""
    from selenium.webdriver import Keys

    stack = slices()
    chromium.open(pages / "slices.html")
    assert chromium.one("x-name").text == "density" and chromium.one("y-name").text == "density_of_2"
    for slope, diagram in stack.items():
        assert chromium.one("slider").get_attribute("aria-valuetext") == f"{slope:g}" == chromium.one("slider-value").text
        assert f"loss {diagram.loss[1, 1]:.6g}" in chromium.one("map-says").text
        assert f"slice={slope:g}" in chromium.driver.current_url
        chromium.one("slider").send_keys(Keys.ARROW_RIGHT)
    assert chromium.problems() == []


def test_neurons(chromium, pages):
    """Every minimum's neurons are bars as long as their weights; the file of the point has encoder and decoder."""
    diagram = neurons()
    chromium.open(pages / "neurons.html")
    row, column = (int(chromium.say(f"return chosen().{name}")) for name in ("row", "column"))
    x = diagram.minima[diagram.minima_cell == row * diagram.x.size + column]
    titles = """return [...document.querySelectorAll("#minima svg")].map((svg) => [...svg.querySelectorAll("rect")].map(
        (bar) => [Number(bar.getAttribute("height")), Number(bar.textContent.split(": ")[1])]))"""
    bars = chromium.say(titles)
    drawn = sorted(sorted(value for _, value in one) for one in bars)
    for one in bars:  # one scale
        heights, values = np.array(one).T
        assert np.allclose(heights / heights.max(), np.abs(values) / np.abs(values).max(), atol=2e-4)
    assert np.allclose([v for some in drawn for v in some], [v for some in _long(x) for v in some], atol=6e-5)
    arrays = np.load(chromium.downloaded("get-npz", ".npz"))
    model = diagram.plane.model(diagram.x[column], diagram.y[row])
    weights = arrays["decoder"], arrays["encoder"]
    assert np.allclose(
        arrays["loss"], [expected_loss(model, (d, e), b) for d, e, b in zip(*weights, arrays["bias"], strict=True)]
    )
    assert len(chromium.driver.find_elements("css selector", "#minima svg")) == len(x) and "order" in chromium.one("lines").text
    assert chromium.problems() == []


def _long(x):
    """Of each minimum the weights that are drawn, in order."""
    return sorted(sorted(w for w in one[:-2] if abs(w) >= 1e-3) for one in x)


def test_a_screen_reader_is_told(browser):
    """The map has a name, a description and keys; what a key does is said in a live region; plots themselves are hidden."""
    from selenium.webdriver import Keys

    plot, says = browser.one("map"), browser.one("map-says")
    assert plot.accessible_name == "Map of phases, global theory" and says.get_attribute("aria-live") == "polite"
    before = says.text
    plot.send_keys(Keys.ARROW_LEFT)
    assert says.text != before and "loss" in says.text
    images = browser.driver.find_elements("css selector", "#minima svg")
    assert images and all("W row 1" in image.accessible_name for image in images)


@pytest.mark.parametrize("width", [1400, 320])
@pytest.mark.parametrize("name", ["maps.html", "slices.html", "neurons.html"])
def test_accessibility(browser, pages, name, width):
    """axe-core finds nothing serious, in a wide window and at 400 % (320 pixels); nothing is wider than the window."""
    path = os.environ.get("AXE_CORE", "")
    assert Path(path).is_file(), "AXE_CORE must be the path of axe.min.js: npm install axe-core"
    emulate = {"width": width, "height": 900, "deviceScaleFactor": 1400 / width if width < 1000 else 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", emulate)
    try:
        browser.open(pages / name)
        browser.say(Path(path).read_text(encoding="utf-8"))
        done = browser.driver.execute_async_script("axe.run().then((found) => arguments[0](found.violations))")
        assert [(one["id"], one["nodes"][0]["html"]) for one in done if one["impact"] in ("serious", "critical")] == []
        assert browser.say("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_within_a_notebook(browser, diagrams, tmp_path):
    """In the frame that a notebook shows, where there is no address, the page works the same."""
    cell_text = diagrams[2].explore()._repr_html_()
    (tmp_path / "cell.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{cell_text}", encoding="utf-8")
    browser.driver.get((tmp_path / "cell.html").as_uri())
    browser.driver.switch_to.frame(0)
    browser.until(lambda: browser.say("return document.documentElement && document.documentElement.dataset.ready"))
    before = browser.one("map-says").text
    browser.one("map").send_keys("m")
    browser.say("document.getElementById('map').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))")
    assert browser.one("map-says").text != before
    browser.driver.switch_to.default_content()


def test_a_loaded_diagram_is_explored_alike(diagrams, tmp_path, chromium):
    """Curves that a file kept are on the page, without being followed again."""
    diagrams[0].save(tmp_path / "d.npz")
    explore(PhaseDiagram.load(tmp_path / "d.npz"), tmp_path / "d.html")
    chromium.open(tmp_path / "d.html")
    drawn = chromium.say("return sources.map.first.data.xs.length + sources.map.continuous.data.xs.length")
    assert drawn == len(diagrams[0].boundaries()) > 0
