"""Whether there is a GPU that can be used, and what is missing otherwise."""

from importlib.util import find_spec

from .._arguments import one_of
from .._training.chunks import check_trainable
from ..activity import INDEPENDENT
from .kinds import MOST_FEW

DEVICES = ("cpu", "cuda")


def as_device(device, form):
    """Return a checked ``device``; ValueError unless it is there and models of the form can be trained on minibatches on it."""
    if one_of("device", device, DEVICES) == "cuda":
        _check_gpu()
        _check_form(form)
    return device


def _check_gpu():
    """Raise a ValueError that says what is missing unless models can be trained on a GPU."""
    needs = 'device "cuda" needs'
    try:
        from numba import cuda
    except Exception as error:  # whatever a package raises that does not fit the others
        raise ValueError(f"{needs} the package numba-cuda, which cannot be imported here: {error}") from None
    if not cuda.is_available():
        if find_spec("numba_cuda") is None:
            raise ValueError(f'{needs} a GPU of NVIDIA and the package numba-cuda: install "phasediag[cuda]"')
        reason = " ".join(str(cuda.cuda_error()).split())
        raise ValueError(f"{needs} a GPU of NVIDIA and its driver, got none ({reason})")


def _check_form(form):
    """Raise ValueError unless models of a form can be trained on minibatches on a GPU."""
    check_trainable(form)
    if form.activity != INDEPENDENT and form.n_features > MOST_FEW:
        domain = f'independent features, or at most {MOST_FEW}, to be trained with device "cuda"'
        raise ValueError(f"model must have {domain}, got {form.n_features}")
    if form.n_features > MOST_FEW:
        from .many_features import check_size

        check_size(form.n_features, form.n_hidden)
