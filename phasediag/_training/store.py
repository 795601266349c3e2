"""The store that a long training writes to: zarr arrays with named axes, which ``xarray.open_zarr`` reads.

Every trained model has its place from the start; places still to be filled hold NaN. One file on disk holds the models of
one row and one replicate and is replaced as a whole, so that a killed run leaves no half-written one behind.
"""

import json
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import numpy as np

from .chunks import MOST_PATTERN_FEATURES

FEW, MANY = 3, 6  # versions of the bits that runs of up to 8 features and of more end with: older stores cannot be gone on with
DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError)  # what zarr raises for what is no array or is cut short


class Store:
    """The trained models of a diagram on disk.

    Parameters
    ----------
    path : path
        A folder that does not exist yet, or the store of a run with the same arguments.
    axes : dict of str to ndarray
        Names and values of the plane's y and x.
    shape : tuple
        (n_y, n_seeds, n_x, n_hidden, n_features).
    options : mapping
        Everything else that decides the numbers.

    Raises
    ------
    ValueError
        When zarr is not installed or the folder holds something else.
    """

    def __init__(self, path, axes, shape, options):
        """Open the store and check that it belongs to this run, or make it."""
        try:
            import zarr
        except ImportError:
            raise ValueError('store needs the package zarr: install "phasediag[store]"') from None
        self.path = _folder(path)
        facts = {"phasediag": FEW if shape[-1] <= MOST_PATTERN_FEATURES else MANY, **options}
        if self._has_begun():
            self._group = self._open(zarr, facts, axes)
        else:
            self._group = self._create(zarr, axes, shape, facts)

    def _has_begun(self):
        """Whether there is something at the path, other than an empty folder."""
        return self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir()))

    def finished(self):
        """Return (weights, bias, done) of all models so far: NaN, and False in ``done``, where there are none yet."""
        try:
            weights, bias = (self._group[name][...] for name in ("weights", "bias"))
        except DAMAGE as error:
            raise ValueError(f"store must hold the models of a run, got a damaged one, {str(self.path)!r} ({error})") from None
        return weights, bias, ~np.isnan(bias).any(axis=-1)  # biases are written last

    def write(self, portion, weights, bias):
        """Keep the models of a portion."""
        self._group["weights"][portion.place] = weights
        self._group["bias"][portion.place] = bias

    def _create(self, zarr, axes, shape, facts):
        """Make the store and open it."""
        fresh = self.path.with_name(f"{self.path.name}.{uuid4().hex}")
        try:
            fresh.mkdir(parents=True)
        except OSError as error:
            raise ValueError(f"store must be a folder that can be made, got {str(self.path)!r} ({error.strerror})") from None
        try:
            self._fill(zarr.open_group(fresh, mode="w"), axes, shape, facts)
            fresh.rename(self.path)  # at once: killed earlier, the run has left nothing to go on from
        except BaseException as error:
            rmtree(fresh)
            if isinstance(error, OSError) and self._has_begun():  # another process has made it meanwhile
                return self._open(zarr, facts, axes)
            raise
        return zarr.open_group(self.path, mode="r+")

    @staticmethod
    def _fill(group, axes, shape, facts):
        """Make the arrays."""
        y, x = axes
        for name, values in axes.items():
            group.create_array(name, data=values, chunks=values.shape, dimension_names=(name,))
        for name, own in (("weights", ("hidden", "feature")), ("bias", ("feature",))):
            full, names = shape if name == "weights" else (*shape[:3], shape[4]), (y, "replicate", x, *own)
            group.create_array(
                name, shape=full, chunks=(1, 1, *full[2:]), dtype="float32", fill_value=np.nan, dimension_names=names
            )
        group.attrs.update(facts)

    def _open(self, zarr, facts, axes):
        """Open a store that exists; raise ValueError unless it belongs to this very run."""
        try:
            group = zarr.open_group(self.path, mode="r+")
            found = dict(group.attrs)
            found["phasediag"]
        except DAMAGE:
            raise ValueError(f"store must be a new folder or one that a run began, got {str(self.path)!r}") from None
        for name, values in json.loads(json.dumps(facts)).items():
            if found.get(name) != values:
                raise ValueError(f"store must belong to a run with {name} {values}, got one with {found.get(name)}")
        for name, values in reversed(axes.items()):
            if name not in group or not np.array_equal(group[name][...], values):
                raise ValueError(f"store must belong to a run with the same {name}, got another grid in {str(self.path)!r}")
        return group


def stored_seed(path):
    """Return the seed of the run that began a store; None where there is no store yet."""
    try:
        return json.loads((_folder(path) / "zarr.json").read_text())["attributes"]["seed"]
    except (OSError, ValueError, KeyError):
        return None


def _folder(path):
    """Return a path that has a name."""
    try:
        path = Path(path)
    except TypeError:
        raise ValueError(f"store must be the path of a folder, got {path!r:.60}") from None
    if not path.name:
        raise ValueError(f"store must be a folder of its own, got {str(path)!r}")
    return path
