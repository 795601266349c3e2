"""phasediag: an exact phase-diagram solver for superposition.

A tour, stage by stage. Every name below is an attribute of this package, loaded when it is first used; ``help`` of a name says
all about it. Drawings are in ``phasediag.figures``, the command line is ``phasediag`` or ``python -m phasediag``.

The model, and the order parameters of its weights:
    ToyModel                    x' = activation(WᵀW x + b): importances, densities, activation
    classify                    the phase of weights: which features share which dimensions
    classify_many               the phases of a stack of weights
    Phase                       a phase, with a stable name and its clusters
    Cluster                     features that share dimensions: dedicated, antipodal pair, triangle, …
    feature_norm                ‖W_i‖, how far a feature is represented
    interference                Σ_{j≠i} (Ŵ_i·W_j)², what others put on a feature
    feature_dimensionality      the fraction of a dimension that a feature has
    dimensions_per_feature      n_hidden / ‖W‖_F²
    superposition               whether more features are represented than there are dimensions

The exact expected loss:
    expected_loss               the loss of weights and biases, no samples
    expected_loss_with_error    the same with its declared error
    expected_loss_and_gradient  the same with its gradient
    expected_loss_hessian       its second derivatives
    monte_carlo_loss            the same by samples, with a standard error
    loss_terms                  the loss by number of active features and by feature: benefit, interference, bias
    LossTerms                   what loss_terms returns
    optimal_bias                the best biases for given weights, globally

Configurations and their closed forms:
    configurations              the patterns of weights that compete
    Configuration               one of them: weights, biases, loss as a formula
    symbolic_expected_loss      the loss of any exact Gram matrix as a sympy expression
    ClosedForm                  the loss with free scales and biases, exact in one sign chamber
    compile_loss                a formula as machine code

Minima over all weights and biases:
    minimize                    the distinct local minima of one model
    Minimum                     one of them, with phase and curvature
    linear_minimum              the global minimum of a linear model in closed form
    LinearMinimum               what linear_minimum returns

Phase diagrams and their boundaries:
    phase_diagram               the phases over importance and density, by one of three theories
    PhaseDiagram                what it returns; boundaries, triple points, tables, files
    PhaseBoundary               a curve on which two phases have equal losses, its order and spinodals
    Spinodal                    a curve on which a phase of a first-order boundary ceases to be a minimum
    TriplePoint                 where three phases have equal losses
    frozen_boundaries           the boundaries of the frozen theory as equations
    FrozenBoundary              one of them
    FrozenTriplePoint           where they meet, exactly

Trained models:
    train                       many models of one kind by stochastic gradient descent
    TrainingRun                 what train returns
    trained_phase_diagram       a diagram of trained models, by the paper's protocol
    TrainedModels               every model behind it
    sweep_density               what is stored as features become sparse
    DensitySweep                what sweep_density returns

Weights trained elsewhere:
    read_weights                weights and biases of a file that another program wrote
    WeightFile                  what read_weights returns, with what it rests on
    inspect                     exact loss, phase, nearest minimum and gap to the global one
    Inspection                  what inspect returns
    inspect_many                the same for many models at once
    Ensemble                    what inspect_many returns: a table
    compare                     many models beside a diagram: which are in its phases, and why the others are not
    Comparison                  what compare returns
    diagram_of_models           a diagram of models trained elsewhere over a grid, for validate_trained and for drawing

Theory against training:
    validate                    train, sample and compare with every theory; a cause for every difference
    validate_trained            the same for a trained diagram
    Validation                  what both return
    Agreement                   how far trained phases agree with a theory's
    Attribution                 why trained models differ from the exact theory
    SamplingTest                exact losses against samples

Points on a sphere:
    thomson                     directions with the least interference or energy
    SphereConfiguration         one minimum of it
    congruent                   whether two sets of directions are the same up to rotations and order
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "model": "ToyModel",
    "phases": "classify classify_many Phase Cluster",
    "order_parameters": "feature_norm interference feature_dimensionality dimensions_per_feature superposition",
    "loss": "expected_loss expected_loss_with_error expected_loss_and_gradient expected_loss_hessian monte_carlo_loss",
    "terms": "loss_terms LossTerms",
    "biases": "optimal_bias",
    "candidates": "configurations Configuration",
    "symbolic": "symbolic_expected_loss compile_loss",
    "closed_forms": "ClosedForm",
    "minima": "minimize Minimum",
    "linear_theory": "linear_minimum LinearMinimum",
    "diagram": "phase_diagram PhaseDiagram",
    "boundaries": "PhaseBoundary Spinodal TriplePoint",
    "frozen_equations": "frozen_boundaries FrozenBoundary FrozenTriplePoint",
    "training": "train TrainingRun",
    "trained_diagram": "trained_phase_diagram",
    "trained_models": "TrainedModels",
    "sweep": "sweep_density DensitySweep",
    "weight_files": "read_weights WeightFile",
    "inspection": "inspect Inspection",
    "ensembles": "inspect_many Ensemble",
    "comparison": "compare Comparison diagram_of_models",
    "validation": "validate validate_trained Validation",
    "agreement": "Agreement",
    "attribution": "Attribution",
    "sampled_losses": "SamplingTest",
    "sphere": "thomson SphereConfiguration congruent",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = list(_HOME)

if TYPE_CHECKING:  # what is loaded lazily, for those who check types
    from .agreement import Agreement as Agreement  # noqa: I001 - a line for each room
    from .attribution import Attribution as Attribution
    from .biases import optimal_bias as optimal_bias
    from .boundaries import PhaseBoundary as PhaseBoundary, Spinodal as Spinodal, TriplePoint as TriplePoint
    from .candidates import Configuration as Configuration, configurations as configurations
    from .closed_forms import ClosedForm as ClosedForm
    from .comparison import Comparison as Comparison, compare as compare, diagram_of_models as diagram_of_models
    from .diagram import PhaseDiagram as PhaseDiagram, phase_diagram as phase_diagram
    from .frozen_equations import (
        FrozenBoundary as FrozenBoundary,
        FrozenTriplePoint as FrozenTriplePoint,
        frozen_boundaries as frozen_boundaries,
    )
    from .ensembles import Ensemble as Ensemble, inspect_many as inspect_many
    from .inspection import Inspection as Inspection, inspect as inspect
    from .linear_theory import LinearMinimum as LinearMinimum, linear_minimum as linear_minimum
    from .loss import (
        expected_loss as expected_loss,
        expected_loss_and_gradient as expected_loss_and_gradient,
        expected_loss_hessian as expected_loss_hessian,
        expected_loss_with_error as expected_loss_with_error,
        monte_carlo_loss as monte_carlo_loss,
    )
    from .minima import Minimum as Minimum, minimize as minimize
    from .model import ToyModel as ToyModel
    from .order_parameters import (
        dimensions_per_feature as dimensions_per_feature,
        feature_dimensionality as feature_dimensionality,
        feature_norm as feature_norm,
        interference as interference,
        superposition as superposition,
    )
    from .phases import Cluster as Cluster, Phase as Phase, classify as classify, classify_many as classify_many
    from .sampled_losses import SamplingTest as SamplingTest
    from .sphere import SphereConfiguration as SphereConfiguration, congruent as congruent, thomson as thomson
    from .sweep import DensitySweep as DensitySweep, sweep_density as sweep_density
    from .symbolic import compile_loss as compile_loss, symbolic_expected_loss as symbolic_expected_loss
    from .terms import LossTerms as LossTerms, loss_terms as loss_terms
    from .trained_diagram import trained_phase_diagram as trained_phase_diagram
    from .trained_models import TrainedModels as TrainedModels
    from .training import TrainingRun as TrainingRun, train as train
    from .validation import Validation as Validation, validate as validate, validate_trained as validate_trained
    from .weight_files import WeightFile as WeightFile, read_weights as read_weights


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'phasediag' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all names, those that have not been used included."""
    return sorted({*globals(), *__all__})
