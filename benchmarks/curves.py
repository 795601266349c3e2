"""Whether curves depend on the grid: a table of boundaries, triple points and ends over grids, and which curves differ.

    python benchmarks/curves.py "3→2" 8 12 24          one size, over the paper's plane on grids of so many values a side
    python benchmarks/curves.py "2→1" 8 --spinodals    the limits of stability too
    python benchmarks/curves.py "3→2" 8 --against FOLDER   and by another checkout, in a process of its own

A curve is the same on two grids when phases, order, both ends and their kinds are, to 1e-7 of importance and density; "+" and "-"
name those that the first grid has not, or alone has. Processor seconds of one process, those of the diagram's cells left out.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SAME = 1e-7


def followed(n_features, n_hidden, size, with_spinodals):
    """The boundaries and spinodals over the paper's plane on a grid: (name, seconds, list of curves, number of triple points)."""
    import numpy as np

    from phasediag import phase_diagram

    axes = {"importance": np.geomspace(0.1, 10, size), "density": np.geomspace(0.01, 1, size)}
    diagram = phase_diagram(n_features, n_hidden, seed=0, **axes)
    start = time.process_time()
    curves = diagram.boundaries()
    yield "boundaries", time.process_time() - start, curves, len(diagram.triple_points())
    if with_spinodals:
        start = time.process_time()
        curves = diagram.spinodals()
        yield "spinodals", time.process_time() - start, curves, 0


def described(curve):
    """What makes a curve the same on another grid: its phases, its kind, and both ends (x, y, why)."""
    phases = getattr(curve, "phases", None) or (curve.phase,)
    ends = [(float(curve.x[k]), float(curve.y[k]), curve.ends[k]) for k in (0, -1)]
    return tuple(sorted(phases)), getattr(curve, "order", curve.kind), ends


def same(one, other):
    """Whether two descriptions are of one curve, in either direction."""

    def near(ends, others):
        """Whether two pairs of ends agree."""
        return all(
            a[2] == b[2] and all(abs(x - y) <= SAME * max(1.0, abs(x)) for x, y in zip(a[:2], b[:2], strict=True))
            for a, b in zip(ends, others, strict=True)
        )

    return one[:2] == other[:2] and (near(one[2], other[2]) or near(one[2], other[2][::-1]))


def main():
    """Print the table, and under each grid how its curves differ from those of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", help='features and hidden dimensions, "3→2" or 3-2')
    parser.add_argument("grids", type=int, nargs="+")
    parser.add_argument("--spinodals", action="store_true")
    parser.add_argument("--against", type=Path, help="another checkout")
    arguments = parser.parse_args()
    n_features, n_hidden = map(int, arguments.size.replace("→", "-").split("-"))
    print(f"{'grid':>6} {'':<10} {'curves':>6} {'triple':>6} {'points':>6} {'open':>4} {'CPU s':>7}  ends", flush=True)
    before = {}
    for grid in arguments.grids:
        for name, seconds, curves, n_triple in followed(n_features, n_hidden, grid, arguments.spinodals):
            ends = Counter(why for curve in curves for why in curve.ends)
            n_open = sum("unresolved" in curve.ends for curve in curves)
            points = sum(curve.x.size for curve in curves)
            words = ", ".join(f"{count} {why}" for why, count in sorted(ends.items()))
            row = f"{grid:>4}²  {name:<10} {len(curves):>6} {n_triple:>6} {points:>6} {n_open:>4} {seconds:>7.1f}  {words}"
            print(row, flush=True)
            found = [described(curve) for curve in curves]
            known = before.setdefault(name, found)
            for sign, some, others in (("+", found, known), ("-", known, found)):
                for one in some:
                    if not any(same(one, other) for other in others):
                        print(f"      {sign} {' | '.join(one[0])}, {one[1]}: {one[2]}", flush=True)
    if arguments.against:
        print(f"{arguments.against}:", flush=True)
        words = [arguments.size, *map(str, arguments.grids), *(["--spinodals"] if arguments.spinodals else [])]
        environment = os.environ | {"PYTHONPATH": str(arguments.against.resolve())}
        subprocess.run([sys.executable, __file__, *words], env=environment, check=True)


if __name__ == "__main__":
    main()
