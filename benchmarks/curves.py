"""Whether curves depend on the grid: a table of boundaries, triple points and ends over grids, and which curves differ.

    python benchmarks/curves.py "3→2" 8 12 24          one size, over the paper's plane on grids of so many values a side
    python benchmarks/curves.py "2→1" 8 --spinodals    the limits of stability too
    python benchmarks/curves.py "3→2" 8 --against FOLDER   and by another checkout, in a process of its own
    python benchmarks/curves.py "3→2" 8 12 --store FILE    what has been followed is kept, a JSON line each, not followed again
    python benchmarks/curves.py "2→1" 8 --store FILE --windows 200   windows of the plane, each against the curves of the whole

A curve is the same on two grids when phases, order, both ends and their kinds are, to 1e-8 of importance and density; "+" and
"-" name those that the first grid has not, or alone has. Of two windows in three the middle is drawn by chance, their sides are
0.3 to 2 in the logarithms; the third is a zoom of 1e-3 about an end of a curve. A window's curves are those of the whole plane,
cut to it, when each of its points lies on one of these, as a cubic through its points, and none of these points in it is left
out. Processor seconds of one process, those of the diagram's cells left out.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

SAME = 1e-8
"""Of values at an end, relative where they are above 1."""
BESIDE = 1e-4
"""Distance, in the logarithms, of points of one curve from the cubic through those of another."""


def followed(n_features, n_hidden, size, with_spinodals, low=(0.1, 0.01), high=(10.0, 1.0)):
    """The boundaries and spinodals of a window, importance and density, on a grid: facts of each kind, as they are stored."""
    from phasediag import phase_diagram

    axes = {name: np.geomspace(low[k], high[k], size) for k, name in enumerate(("importance", "density"))}
    diagram = phase_diagram(n_features, n_hidden, seed=0, **axes)
    for name in ["boundaries", *(["spinodals"] if with_spinodals else [])]:
        start = time.process_time()
        curves = getattr(diagram, name)(n_threads=1)  # so that no other process has a part in it
        yield {
            "name": name,
            "seconds": time.process_time() - start,
            "triple": [[point.x, point.y] for point in diagram.triple_points()] if name == "boundaries" else [],
            "curves": [described(curve) for curve in curves],
            "points": [np.column_stack([curve.x, curve.y]).tolist() for curve in curves],
        }


def described(curve):
    """What makes a curve the same on another grid: its phases, its kind, and both ends (x, y, why), a list."""
    phases = getattr(curve, "phases", None) or (curve.phase,)
    ends = [[float(curve.x[k]), float(curve.y[k]), curve.ends[k]] for k in (0, -1)]
    return [sorted(phases), getattr(curve, "order", None) or curve.kind, ends]


def same(one, other):
    """Whether two descriptions are of one curve, in either direction."""

    def near(ends, others):
        """Whether two pairs of ends agree."""
        return all(
            a[2] == b[2] and all(abs(x - y) <= SAME * max(1.0, abs(x)) for x, y in zip(a[:2], b[:2], strict=True))
            for a, b in zip(ends, others, strict=True)
        )

    return one[:2] == other[:2] and (near(one[2], other[2]) or near(one[2], other[2][::-1]))


def stored(path, key, make):
    """What ``make()`` yields, a list of dictionaries, kept under a key in a file of JSON lines; from there if it is in it."""
    if path is not None and path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["key"] == key:
                return row["found"]
    found = list(make())
    if path is not None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": key, "found": found}) + "\n")
    return found


def beside(points, curves):
    """How far each point (n, 2), logarithms, lies from the nearest of some curves, through whose points cubics are laid."""
    from scipy.interpolate import CubicSpline

    nearest = np.full(len(points), np.inf)
    for curve in curves:
        along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
        curve, along = curve[np.append(True, np.diff(along) > 0)], np.unique(along)
        if len(curve) > 1:
            fine = np.interp(np.arange(20 * len(curve)) / 20, np.arange(len(curve)), along)
            curve = CubicSpline(along, curve)(fine)
        for start, end in pairwise(curve) if len(curve) > 1 else [(curve[0], curve[0])]:
            step = end - start
            part = np.clip((points - start) @ step / max(step @ step, 1e-300), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(points - start - part[:, None] * step, axis=1))
    return nearest


def window(number, corners, curves):
    """The window of a number, (low, high) in the logarithms: of the plane between corners (2, 2) with curves (n, 2) each."""
    random = np.random.default_rng(number)
    middle, side = random.uniform(*corners), random.uniform(0.3, 2.0, 2)
    if number % 3 == 2:
        middle, side = curves[random.integers(len(curves))][random.choice([0, -1])], np.full(2, 1e-3)
    return np.maximum(corners[0], middle - side / 2), np.minimum(corners[1], middle + side / 2)


def windows(arguments, sizes, whole):
    """Compare the curves in windows with those of the whole plane, and print those that differ."""
    corners = np.log([[0.1, 0.01], [10.0, 1.0]])
    curves, differ = [np.log(points) for points in whole["points"]], 0
    for number in range(arguments.windows):
        low, high = window(number, corners, curves)
        key = [arguments.size, "window", number]
        (found,) = stored(arguments.store, key, partial(followed, *sizes, 6, False, np.exp(low), np.exp(high)))
        own, step = [np.log(points) for points in found["points"]], 1e-2 * np.max(high - low)
        within = [points[np.all((points > low + step) & (points < high - step), axis=1)] for points in curves]
        within = np.concatenate([*within, np.empty((0, 2))])
        extra = beside(np.concatenate([*own, np.empty((0, 2))]), curves)
        missing = beside(within, own)
        n_open = sum(end[2] == "unresolved" for curve in found["curves"] for end in curve[2])
        if n_open or np.any(extra > BESIDE) or np.any(missing > BESIDE):
            differ += 1
            words = f"{n_open} open, {np.sum(extra > BESIDE)} points beside, {np.sum(missing > BESIDE)} left out"
            print(f"window {number}: {np.exp(low).tolist()} to {np.exp(high).tolist()}: {words}", flush=True)
    print(f"{arguments.windows} windows of {arguments.size}: {differ} differ from the whole plane")


def main():
    """Print the table, and under each grid how its curves differ from those of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", help='features and hidden dimensions, "3→2" or 3-2')
    parser.add_argument("grids", type=int, nargs="+")
    parser.add_argument("--spinodals", action="store_true")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--store", type=Path, help="a file of JSON lines")
    parser.add_argument("--windows", type=int, default=0, help="how many, against the curves on the first grid")
    arguments = parser.parse_args()
    sizes = [int(part) for part in arguments.size.replace("→", "-").split("-")]
    arguments.size = "→".join(map(str, sizes))
    print(f"{'grid':>6} {'':<10} {'curves':>6} {'triple':>6} {'points':>6} {'open':>4} {'CPU s':>7}  ends", flush=True)
    before = {}
    for grid in arguments.grids:
        key = [arguments.size, grid, arguments.spinodals]
        for row in stored(arguments.store, key, partial(followed, *sizes, grid, arguments.spinodals)):
            name, found = row["name"], row["curves"]
            ends = Counter(end[2] for curve in found for end in curve[2])
            n_open = sum("unresolved" in [end[2] for end in curve[2]] for curve in found)
            words = ", ".join(f"{count} {why}" for why, count in sorted(ends.items()))
            numbers = (
                f"{len(found):>6} {len(row['triple']):>6} {sum(map(len, row['points'])):>6} {n_open:>4} {row['seconds']:>7.1f}"
            )
            print(f"{grid:>4}²  {name:<10} {numbers}  {words}", flush=True)
            known = before.setdefault(name, row)
            for sign, some, others in (("+", found, known["curves"]), ("-", known["curves"], found)):
                for one in some:
                    if not any(same(one, other) for other in others):
                        print(f"      {sign} {' | '.join(one[0])}, {one[1]}: {one[2]}", flush=True)
            for sign, some, others in (("+", row, known), ("-", known, row)):
                for one in some["triple"]:
                    if not any(np.allclose(one, other, rtol=SAME, atol=SAME) for other in others["triple"]):
                        print(f"      {sign} triple point {one}", flush=True)
    if arguments.windows:
        windows(arguments, sizes, before["boundaries"])
    if arguments.against:
        print(f"{arguments.against}:", flush=True)
        words = [arguments.size, *map(str, arguments.grids), *(["--spinodals"] if arguments.spinodals else [])]
        environment = os.environ | {"PYTHONPATH": str(arguments.against.resolve())}
        subprocess.run([sys.executable, __file__, *words], env=environment, check=True)


if __name__ == "__main__":
    main()
