"""Compute rows of the atlas and write them to the file that is shipped: ``python benchmarks/compute_atlas.py 5 2 6 2``.

Without sizes: all rows of 2 to 8 features, and of 9 and 10 in two dimensions, that the file lacks.
"""

import json
import sys
from pathlib import Path
from time import process_time

from phasediag import __version__, atlas

PATH = Path(__file__).parents[1] / "phasediag" / "data" / "atlas.json"


def known():
    """The rows of the file by their sizes."""
    rows = json.loads(PATH.read_text(encoding="utf-8"))["rows"] if PATH.exists() else []
    return {(row["n_features"], row["n_hidden"]): row for row in rows}


def main(numbers):
    """Compute rows, write the file after each."""
    rows = [*((n, m) for n in range(2, 9) for m in range(1, n)), (9, 2), (10, 2)]
    missing = [size for size in rows if size not in known()]
    wanted = list(zip(numbers[::2], numbers[1::2], strict=True)) or missing
    for size in wanted:
        start = process_time()
        row = atlas(*size, shipped=False)
        kept = known() | {size: row.facts()}
        lines = ",\n".join(json.dumps(kept[key], ensure_ascii=False) for key in sorted(kept))
        PATH.write_text(f'{{"phasediag": "{__version__}", "rows": [\n{lines}\n]}}\n', encoding="utf-8")
        print(f"{row.text()}\n{process_time() - start:.0f} s\n", flush=True)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
