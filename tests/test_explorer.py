"""The page of a diagram, read without a browser: what it holds is the diagram."""

import base64
import gzip
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from phasediag import (
    Axis,
    ControlPlane,
    NeuronModel,
    Penalty,
    PhaseDiagram,
    ToyModel,
    classify,
    classify_neurons,
    configurations,
    expected_loss,
    explore,
    phase_diagram,
    trained_phase_diagram,
)
from phasediag._exploring import page as page_texts
from phasediag._exploring.maps import MOST_MINIMA, minima_of
from phasediag._exploring.packing import pack
from phasediag.colours import phase_colours

AXES = {"importance": np.geomspace(0.3, 1.5, 9), "density": np.geomspace(0.15, 0.65, 8)}  # both orders, a triple point
FOLLOWED = 0, 2  # the diagrams whose curves are on the page: global and frozen


def unpack(text, places):
    """The arrays of what `pack` returned, by name."""
    data = gzip.decompress(base64.b64decode(text))
    counted = ((place, int(np.prod(place["shape"]))) for place in places)
    return {one["name"]: np.frombuffer(data, one["dtype"], count, one["at"]).reshape(one["shape"]) for one, count in counted}


def read(page):
    """The facts and the arrays of a page's text."""
    facts, packed = (re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)[1] for name in ("facts", "packed"))
    facts = json.loads(facts)
    return facts, unpack(packed, facts["arrays"])


@pytest.fixture(scope="module")
def diagrams():
    """The three theories of 2→1, two of them with their curves, and models trained for a few steps."""
    theories = [phase_diagram(2, 1, theory=theory, **AXES) for theory in ("global", "relaxed", "frozen")]
    for k in FOLLOWED:
        theories[k].spinodals()
    return [*theories, trained_phase_diagram(2, 1, n_seeds=3, n_steps=20, batch_size=16, **AXES)]


@pytest.fixture(scope="module")
def page(diagrams):
    """Their page: no further curve is followed."""
    return explore(diagrams)


@pytest.mark.quick("_exploring")
def test_arrays_come_back_from_text():
    """Any arrays are the same bits after packing, each at a place of eight bytes."""
    arrays = {"a": np.arange(3, dtype=np.uint8), "b": np.array([[np.pi, -0.0]]), "c": np.empty((0, 2)), "d": np.int16([-7])}
    text, places = pack(arrays)
    assert pack(arrays) == (text, places) and all(place["at"] % 8 == 0 for place in places)
    for name, array in unpack(text, places).items():
        assert (
            array.tobytes() == arrays[name].tobytes() and array.dtype == arrays[name].dtype and array.shape == arrays[name].shape
        )


def test_grids_are_the_diagrams(diagrams, page):
    """Axes, losses, phases and convergence are those of the diagrams, bit for bit."""
    facts, arrays = read(page.html)
    names = [phase["name"] for phase in facts["phases"]]
    assert page.maps == ("global", "relaxed", "frozen", "trained") and facts["slices"] == [""]
    for k, (diagram, map_) in enumerate(zip(diagrams, facts["maps"], strict=True)):
        assert map_["theory"] == diagram.theory
        assert map_["x"] == diagram.x.tolist() and map_["y"] == diagram.y.tolist()
        assert np.array_equal(arrays[f"{k}.loss"], diagram.loss) and np.array_equal(arrays[f"{k}.converged"], diagram.converged)
        assert np.array_equal(np.array(names, dtype=object)[arrays[f"{k}.phase"]], diagram.phase)


def test_minima_are_the_diagrams(diagrams, page):
    """Each cell has its minima, lowest first, whose losses and phases are those of their parameters; the first has the loss."""
    facts, arrays = read(page.html)
    names = [phase["name"] for phase in facts["phases"]]
    for k, diagram in enumerate(diagrams):
        own = {name.split(".")[1]: array for name, array in arrays.items() if name.startswith(f"{k}.")}
        for cell in range(0, diagram.loss.size, 5):
            row, column = np.unravel_index(cell, diagram.loss.shape)
            part = slice(own["start"][cell], own["start"][cell + 1])
            x, loss = own["points"][own["point"][part]], own["minimum_loss"][part]
            model = diagram.plane.model(diagram.x[column], diagram.y[row])
            weights, bias = x[:, :2].reshape(-1, 1, 2), x[:, 2:]
            assert np.allclose(loss, expected_loss(model, weights, bias), rtol=1e-13, atol=0)
            assert np.all(np.diff(loss) >= 0) and abs(loss[0] / diagram.loss[row, column] - 1) < 1e-13
            if diagram.theory in ("global", "relaxed"):
                assert sorted(map(tuple, x)) == sorted(map(tuple, diagram.minima[diagram.minima_cell == cell]))
                assert [names[p] for p in own["minimum_phase"][part]] == [classify(w).name for w in weights]
        if diagram.trained is not None:
            assert np.array_equal(np.sort(own["minimum_loss"]), np.sort(diagram.trained.loss.ravel()))
        if diagram.theory == "frozen":
            assert np.array_equal(np.sort(own["minimum_loss"]), np.sort(diagram.candidate_loss.ravel()))


def test_curves_are_the_diagrams(diagrams, page, tmp_path):
    """Points of every boundary and spinodal, where they meet, and the bytes that ``save_curves`` writes."""
    facts, arrays = read(page.html)
    assert {curve["kind"] for curve in facts["maps"][0]["curves_of"]} == {"boundary", "spinodal"}
    for k in FOLLOWED:
        diagram = diagrams[k]
        described, points = facts["maps"][k]["curves_of"], arrays[f"{k}.curves"]
        curves = [*diagram.boundaries(), *diagram.spinodals()]
        assert len(described) == len(curves)
        for fact, curve in zip(described, curves, strict=True):
            assert np.array_equal(points[fact["from"] : fact["to"]], np.column_stack([curve.x, curve.y]))
            assert fact.get("order") == getattr(curve, "order", None)
        met = [(p["x"], p["y"]) for p in facts["maps"][k]["points_met"] if p["kind"] == "triple point"]
        assert met == [(p.x, p.y) for p in diagram.triple_points()]
        diagram.save_curves(tmp_path / "curves.csv")
        assert arrays[f"{k}.csv"].tobytes() == (tmp_path / "curves.csv").read_bytes()
        assert len(diagram.boundaries()) > 0 < len(met)
    for k in (1, 3):
        assert diagrams[k].curves is None and facts["maps"][k]["curves_of"] == [] and not arrays[f"{k}.csv"].size


def test_without_curves_it_is_soon_there():
    """Where curves are not asked for, none is followed, and those that the diagram has are shown; the diagram keeps new ones."""
    diagram = phase_diagram(2, 1, theory="frozen", **AXES)
    facts, _ = read(explore(diagram).html)
    assert diagram.curves is None and facts["maps"][0]["curves_of"] == []
    count = len(diagram.boundaries())
    assert len(read(explore(diagram).html)[0]["maps"][0]["curves_of"]) == count > 0
    again = phase_diagram(2, 1, theory="frozen", **AXES)
    assert len(read(explore(again, curves=True).html)[0]["maps"][0]["curves_of"]) == count and again.curves is not None


def test_colours_are_those_of_the_figures(diagrams, page):
    """Phases that are lowest somewhere have the colours of figures; the image shows the phase of each cell."""
    facts, arrays = read(page.html)
    names = [phase["name"] for phase in facts["phases"]]
    lowest = {name for one in diagrams for joined in np.unique(one.phase.astype(str)) for name in joined.split(" = ")}
    for name, colour in phase_colours(lowest).items():
        got = facts["phases"][names.index(name)]["colour"]
        assert np.allclose([int(got[k : k + 2], 16) / 255 for k in (1, 3, 5)], colour, atol=0.5 / 255 + 1e-12)
    trained = arrays["3.image"]
    corners = np.ix_([0, -1], [0, -1])
    assert np.array_equal(trained[corners], arrays["3.phase"][corners])


def test_letters_of_the_first_map_come_first(diagrams):
    """Phases are in the order of the maps that have them: the first map's letters skip none."""
    for order in (diagrams, diagrams[::-1]):
        facts, arrays = read(explore(order).html)
        own = {*np.unique(order[0].phase.astype(str)), *(facts["phases"][k]["name"] for k in arrays["0.minimum_phase"])}
        alone = [phase["name"] for phase in facts["phases"] if phase["colour"]]
        count = sum(name in own for name in alone)
        assert count > 0 and {*alone[:count]} <= own


def test_it_needs_nothing_else(page, tmp_path):
    """The page names no address and no file to load; it is written whole, to .html alone."""

    class Links(HTMLParser):
        found: list

        def handle_starttag(self, tag, attrs):
            self.found += [
                value for name, value in attrs if name in ("src", "href", "data") and not value.startswith(("#", "data:"))
            ]

    links = Links()
    links.found = []
    links.feed(re.sub(r'<script type="text/plain" id="packed">.*?</script>', "", page.html, flags=re.DOTALL))
    assert links.found == []
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html
    for wrong in (page.save, lambda path: explore(None, path)):
        with pytest.raises(ValueError, match=r"path must end in \.html, got 'page\.htm'"):
            wrong("page.htm")


def test_it_is_written_beside_compiled_modules(tmp_path, monkeypatch):
    """The folder of the texts holds ``__pycache__`` wherever Python writes what it compiles: as installed."""
    folder = shutil.copytree(files("phasediag._exploring"), tmp_path / "texts")
    (folder / "__pycache__").mkdir(exist_ok=True)
    monkeypatch.setattr(page_texts, "files", lambda package: folder)
    html = page_texts.page({"title": "2 < 3"}, "data", {})
    assert "2 &lt; 3" in html and "{{" not in html and (folder / "page.js").read_text(encoding="utf-8") in html


def test_notebooks_show_it(diagrams, page):
    """The page stands within a frame; a diagram has one of its own."""
    assert page._repr_html_().startswith('<iframe title="Phase diagram of 2 → 1"') and len(page._repr_html_()) > len(page.html)
    assert diagrams[2].explore().maps == ("frozen",)


def test_other_planes_and_stacks():
    """Axes have their own names; a mapping gives slices; where cells have more minima than are kept, the lowest are."""

    def diagram(penalty):
        base = ToyModel(1, [1.0, 1.0], 0.3, penalty=Penalty(interference=penalty))
        return phase_diagram(plane=ControlPlane(base, Axis("density", [0.1, 0.5]), Axis("weight_penalty", [0.0, 0.1], log=False)))

    page = explore({value: diagram(value) for value in (0.0, 0.25)}, slider="interference penalty")
    facts, arrays = read(page.html)
    assert [axis["name"] for axis in facts["axes"]] == ["density", "weight_penalty"] and not facts["axes"][1]["log"]
    assert page.slices == ("0", "0.25") and facts["slider"] == "interference penalty" and len(facts["maps"]) == 2
    assert np.array_equal(arrays["1.loss"], diagram(0.25).loss)
    frozen = phase_diagram(8, 4, theory="frozen", importance=[1.0, 2.0], density=[0.1])
    cell, _, loss, _ = minima_of(frozen)
    assert len(frozen.candidates) > MOST_MINIMA and np.bincount(cell).tolist() == [MOST_MINIMA] * 2
    assert np.array_equal(loss[cell == 0], np.sort(frozen.candidate_loss[:, 0, 0])[:MOST_MINIMA])


def test_a_cell_between_phases_and_a_line():
    """Tied phases keep their joined name, and a plane of one row is a page too."""
    tied = phase_diagram(2, 1, theory="frozen", importance=[0.5, 1.0], density=[1.0])
    facts, arrays = read(explore(tied).html)
    names = [phase["name"] for phase in facts["phases"]]
    assert [names[k] for k in arrays["0.phase"].ravel()] == tied.phase.ravel().tolist()
    assert any(" = " in name for name in tied.phase.ravel())
    assert [phase["colour"] is None for phase in facts["phases"]] == [" = " in name for name in names]


@pytest.mark.parametrize("n", [3, 6])
def test_regions_of_tied_cells_are_of_the_phase_on_their_side_of_the_curves(n):
    """At density 1 all cells of some regions are ties: pixels off the curves have the phase whose loss there is the lowest."""
    axes = {"importance": np.geomspace(0.5, 2, n), "density": np.geomspace(0.1, 1, n)}
    diagram = phase_diagram(4, 2, theory="frozen", **axes)
    diagram.boundaries()
    facts, arrays = read(explore(diagram).html)
    shown = np.array([phase["name"] for phase in facts["phases"]])[arrays["0.image"]]
    edges = (np.geomspace(*axis[[0, -1]], len(shown) + 1) for axis in axes.values())
    x, y = np.meshgrid(*(np.sqrt(some[1:] * some[:-1]) for some in edges))
    table = configurations(4, 2)
    losses = np.array([one.expected_loss(x, y) for one in table])
    lowest, second = np.sort(losses, axis=0)[:2]
    wanted = np.array([one.name for one in table])[np.argmin(losses, axis=0)]
    clear = second > 1.02 * lowest
    assert clear.mean() > 0.9 and np.array_equal(shown[clear], wanted[clear])


def over_neurons(task, n_hidden, n_features=2):
    """A diagram of neurons."""
    base = NeuronModel(n_hidden, np.ones(n_features), 0.5, task=task)
    return phase_diagram(plane=ControlPlane(base, Axis("importance", [0.4, 1.4]), Axis("density", [0.2, 0.8])))


def trained_rows(diagram):
    """The parameters of its models, (n_models, size): rows of weights, then biases."""
    weights, bias = (np.asarray(one, dtype=float) for one in (diagram.trained.weights, diagram.trained.bias))
    return np.concatenate([weights.reshape(*bias.shape[:3], -1), bias], axis=-1).reshape(bias[..., 0].size, -1)


@pytest.mark.parametrize(("task", "n_hidden"), [("identity", 1), ("absolute", 2)])
def test_neurons(task, n_hidden):
    """Minima and models of neurons have the losses of their weights, minima also their phases; crossings are points."""
    diagram = over_neurons(task, n_hidden)
    trained = trained_phase_diagram(plane=diagram.plane, n_seeds=2, n_steps=5, batch_size=16)
    facts, arrays = read(explore([diagram, trained], curves=True).html)
    names, rows = [phase["name"] for phase in facts["phases"]], diagram.weights.shape[-2]
    assert facts["title"] == f"Phase diagram of 2 → {n_hidden} neurons, {task}" and facts["neurons"] and facts["n_rows"] == rows
    cells = np.repeat(np.arange(diagram.loss.size), np.diff(arrays["0.start"]))
    assert np.array_equal(np.sort(cells), np.sort(diagram.minima_cell))
    for k, cell in enumerate(cells):
        row, column = np.unravel_index(cell, diagram.loss.shape)
        x, model = arrays["0.points"][arrays["0.point"][k]], diagram.plane.model(diagram.x[column], diagram.y[row])
        stacked, bias = x[:-2].reshape(rows, 2), x[-2:]
        weights = stacked if rows == n_hidden else (stacked[-n_hidden:].T, stacked[:n_hidden])
        assert arrays["0.minimum_loss"][k] == pytest.approx(expected_loss(model, weights, bias), rel=1e-12)
        assert names[arrays["0.minimum_phase"][k]] == classify_neurons(weights, share=1 - 1e-6).name
    assert np.allclose(arrays["0.minimum_loss"][arrays["0.start"][:-1]], diagram.loss.ravel(), rtol=1e-12)
    for one, x in zip(trained.trained.loss.ravel(), trained_rows(trained), strict=True):
        at = np.flatnonzero(np.all(arrays["1.points"] == x, axis=1))
        assert len(at) == 1 and one in arrays["1.minimum_loss"][arrays["1.point"] == at[0]]
    crossings = {(f"{b.order} crossing", x, y) for b in diagram.boundaries() for x, y in zip(b.x, b.y, strict=True)}
    assert {(p["kind"], p["x"], p["y"]) for p in facts["maps"][0]["points_met"]} == crossings != set()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "diagram must be a PhaseDiagram, several or a mapping to them, got None"),
        ([], "diagram must have one of each theory, the same in all slices, got"),
        ("twice", "diagram must have one of each theory"),
        (
            "neurons",
            "got 2 → 1 over importance (logarithmic) × density (logarithmic) and 2 → 1 neurons, identity over importance",
        ),
        ("sizes", "diagram must have the same axes and sizes everywhere, got 2 → 1 over importance (logarithmic) × density (log"),
    ],
)
def test_what_cannot_be_on_one_page(diagrams, wrong, message):
    """Each error names the argument, its domain and what was given."""
    other = phase_diagram(3, 1, theory="frozen", importance=[1.0], density=[0.5])
    axes = Axis("importance", AXES["importance"]), Axis("density", AXES["density"])
    neurons = replace(diagrams[1], plane=ControlPlane(NeuronModel(1, [1.0, 1.0], 0.3), *axes))
    given = {"neurons": [diagrams[0], neurons], "twice": [diagrams[2], diagrams[2]], "sizes": [diagrams[0], other]}
    with pytest.raises(ValueError, match=re.escape(message)):
        explore(given[wrong] if isinstance(wrong, str) else [wrong] if wrong is None else wrong)


def test_without_bokeh_it_says_what_to_install(diagrams, monkeypatch):
    """Bokeh is loaded by the page alone."""
    monkeypatch.setitem(__import__("sys").modules, "bokeh.resources", None)
    with pytest.raises(ImportError, match=r'pip install "phasediag\[explore\]"'):
        explore(diagrams[2])


def test_saved_diagrams_give_the_same_data(diagrams, tmp_path):
    """A diagram that was saved and loaded is the same page, Bokeh's own numbers apart."""
    diagrams[0].save(tmp_path / "d.npz")
    facts, arrays = read(explore(diagrams[0]).html)
    again, others = read(explore(PhaseDiagram.load(tmp_path / "d.npz")).html)
    assert facts == again and all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_the_command_writes_a_page(run, tmp_path, diagrams):
    """``phasediag explore`` writes the maps that are asked for, saved ones beside them; a third axis gives slices."""
    diagrams[3].save(tmp_path / "trained.npz")
    grid = ["--importance", "0.3:1.5:9", "--density", "0.15:0.65:8"]
    page = tmp_path / "page.html"
    code, out, err = run("explore", *grid, "--theories", "frozen", "--beside", tmp_path / "trained.npz", "--output", page)
    assert code == 0 and "2 → 1: frozen, trained" in out and "MB" in out
    assert err.count(f"wrote {page}") == 2 and f"wrote {page} (cells; the curves follow)" in err
    facts, arrays = read(page.read_text(encoding="utf-8"))
    assert np.array_equal(arrays["0.loss"], diagrams[2].loss) and np.array_equal(arrays["1.loss"], diagrams[3].loss)
    assert [len(map_["curves_of"]) for map_ in facts["maps"]] == [len(diagrams[2].boundaries()), 0]
    few = ["--importance", "0.5,2", "--density", "0.3,0.9", "--no-curves"]
    code, out, _ = run("explore", *few, "--z", "slope:0,0.5", "--output", page, "--json")
    facts, arrays = read(page.read_text(encoding="utf-8"))
    assert code == 0 and json.loads(out)["slices"] == ["0", "0.5"] == facts["slices"] and facts["slider"] == "slope"
    base = ToyModel(1, [1.0, 1.0], 1.0, "leaky", slope=0.5)
    plane = ControlPlane(base, Axis("importance", [0.5, 2.0]), Axis("density", [0.3, 0.9]))
    assert np.array_equal(arrays["1.loss"], phase_diagram(plane=plane).loss)
    code, _, err = run("explore", *grid, "--z", "slope:0,0.5", "--beside", tmp_path / "trained.npz", "--output", page)
    assert code == 2 and "beside must not be given with z" in err
    code, _, err = run("explore", "--n-features", 3, "--n-hidden", 2, "--beside", tmp_path / "trained.npz", "--output", page)
    assert code == 2 and "beside must be a diagram of 3 → 2 over importance" in err and "got one of 2 → 1 over importance" in err
    code, _, err = run("explore", *grid, "--output", tmp_path / "page.htm")
    assert code == 2 and "output must end in .html" in err
