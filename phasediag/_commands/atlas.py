"""The command "atlas"."""

import click

from .answers import Answer, command, drawn
from .terminal import PICTURES


@command(
    """
  phasediag atlas
  phasediag atlas --n-features 5 --n-hidden 2
  phasediag atlas --output atlas.png --output atlas.csv""",
    *PICTURES,
    ".csv",
)
@click.option("--n-features", type=int, help="Number of features, 2 to 10.  [default: all rows that are shipped]")
@click.option("--n-hidden", type=int, help="Number of hidden dimensions.")
@click.option("--anew", is_flag=True, help="Compute the row even if it is shipped.")
def atlas(n_features, n_hidden, anew):
    """Say which phase of equal features is the least minimum at every density, and where it changes.

    Rows that are shipped with the package are read; others are computed, which takes seconds to minutes.
    """
    from ..density_atlas import atlas as atlas_of
    from ..density_atlas import shipped_rows

    if (n_features is None) != (n_hidden is None):
        lacks, has, got = ("n_features", "n_hidden", n_hidden) if n_features is None else ("n_hidden", "n_features", n_features)
        raise ValueError(f"{lacks} must be given with {has}, got {has} {got} alone")
    if anew and n_features is None:
        raise ValueError("anew must be given with n_features and n_hidden, got it alone")
    wanted = shipped_rows() if n_features is None else [(n_features, n_hidden)]
    rows = [atlas_of(*size, shipped=not anew) for size in wanted]
    yield Answer(
        text=lambda: "\n\n".join(row.text() for row in rows),
        facts=lambda: {"rows": [row.facts() for row in rows]},
        figure=drawn("atlas_figure", rows),
        rows=lambda: [record for row in rows for record in row._records()],
    )
