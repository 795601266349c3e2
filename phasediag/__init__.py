"""phasediag: an exact phase-diagram solver for superposition.

A tour, stage by stage. Every name below is an attribute of this package, loaded when it is first used; ``help`` of a name says
all about it. Drawings are in ``phasediag.figures``, the command line is ``phasediag`` or ``python -m phasediag``.

Two features in one dimension, the second less important: what the best model does with it, and at which density that changes.

>>> from phasediag import ToyModel, minimize, phase_diagram
>>> minimize(ToyModel(n_hidden=1, importance=[1.0, 0.3], density=0.3))[0].phase.name
'extra in antipodal pair'
>>> diagram = phase_diagram(2, 1, importance=[0.3], density=[0.2, 0.3, 0.4, 0.5])
>>> [(boundary.phases, boundary.density.round(4).tolist()) for boundary in diagram.boundaries()]
[(('extra in antipodal pair', 'extra not represented + dedicated'), [0.3757])]

The model, and the order parameters of its weights:
    ToyModel                    x' = activation(WᵀW x + b): importances, densities, activation
    NeuronModel                 a hidden layer of ReLU neurons: the privileged basis, and computing |x|
    classify_neurons            which neurons are monosemantic, polysemantic, dead; which features are computed
    NeuronPhase                 what it returns
    CorrelatedSets              activity: sets of features that come together
    AnticorrelatedSets          activity: sets of features that exclude each other
    ExactlyActive               activity: always as many features
    ActivityTable               activity: a probability for every set of features
    Pieces                      values: atoms and intervals
    Penalty                     weight decay and a penalty on interference
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
    expected_loss_without_penalty  the loss as if the model had no penalty
    monte_carlo_loss            the same by samples, with a standard error
    expected_loss_bounds        what the loss of many neurons lies between
    one_active_loss             what an output of neurons loses while one feature is active, as a formula
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
    NeuronMinimum               one of those of a model of neurons
    barrier                     the lowest pass found between two of them
    depths                      the lowest pass from each of them to a lower one
    Barrier                     what both return: the saddle, its heights, the path
    boundary_sensitivity        how a point of a boundary moves with every parameter of the model
    triple_point_sensitivity    how a triple point does
    fold_sensitivity            how a spinodal point at a fold does
    Sensitivity                 what these return
    certify                     a proof that no loss is lower, with the phases of the global minima
    Certificate                 what it returns: bounds, boxes of minimizers, a tree that can be checked
    CertificateCheck            whether a certificate is confirmed in rational arithmetic
    Minimizers                  a box of weights and biases in which global minima may lie
    certify_diagram             the phase of every cell of a diagram, proved
    CertifiedDiagram            what it returns
    certify_boundary            intervals of density in which the phase changes, proved at both ends
    CertifiedBoundary           what it returns
    tricritical_points          where the boundaries of 2→1 turn from first order to continuous, enclosed
    TricriticalPoint            one of them
    certify_frozen              that the boundaries of the frozen theory are all and right
    FrozenCertificate           what it returns
    certify_polygon             that regular polygons are the only best weights of inputs with one active feature
    PolygonCertificate          what it returns
    certify_superposition       that all features of every global minimum of 3→2 are in superposition
    SuperpositionCertificate    what it returns
    linear_minimum              the global minimum of a linear model in closed form
    LinearMinimum               what linear_minimum returns

Phase diagrams and their boundaries:
    ControlPlane                two parameters of a family of models as axes
    Axis                        one of them: its name, its values, logarithmic or not
    phase_diagram               the phases over importance and density, by one of three theories
    PhaseDiagram                what it returns; boundaries, triple points, tables, files
    atlas                       which phase of equal features is least at every density, transitions solved
    Atlas                       what it returns
    AtlasPhase                  a phase and its interval of density
    AtlasTransition             where it changes: density, order, norms and biases on both sides
    explore                     a page to look at diagrams with a browser: every point's minima, cuts, files
    Explorer                    what it returns
    CurveSettings               how curves are followed: steps, and when to give up
    PhaseBoundary               a curve on which two phases have equal losses, its order and spinodals
    NeuronBoundary              a curve on which phases of neurons change, on the lines of a grid, and of which order
    Spinodal                    a curve on which a phase of a first-order boundary ceases to be a minimum
    LevelCurve                  a curve on which a function of the lowest minimum has a value
    LevelPoint                  where it meets a boundary
    TriplePoint                 where three phases have equal losses
    frozen_boundaries           the boundaries of the frozen theory as equations
    FrozenBoundary              one of them
    FrozenTriplePoint           where they meet, exactly

Trained models:
    train                       many models of one kind by stochastic gradient descent
    TrainingRun                 what train returns
    NeuronTraining              what train returns for neurons
    validate_neurons            trained neurons beside the exact minima, a cause for every difference
    NeuronValidation            what it returns
    trained_phase_diagram       a diagram of trained models, by the paper's protocol
    TrainedModels               every model behind it
    sweep_density               what is stored as features become sparse
    DensitySweep                what sweep_density returns

Weights trained elsewhere:
    read_weights                weights and biases of a file that another program wrote
    WeightFile                  what read_weights returns, with what it rests on
    inspect                     exact loss, phase, nearest minimum and gap to the global one
    Inspection                  what inspect returns
    UntiedInspection            what it returns for untied weights
    inspect_many                the same for many models at once
    Ensemble                    what inspect_many returns: a table
    UntiedEnsemble              what it returns for untied weights
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

Tables:
    to_pandas                   a table of minima, boundaries, models or cells

Points on a sphere:
    thomson                     directions with the least interference or energy
    SphereConfiguration         one minimum of it
    congruent                   whether two sets of directions are the same up to rotations and order
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_STUB = __loader__.get_data(str(Path(__file__).with_suffix(".pyi"))).decode().splitlines()  # in a folder or a zip
_HOME = {line.split()[-1]: line.split()[1] for line in _STUB if line.startswith("from .")}
"""The module of each public name: the stub beside this file says it, to this package as to those who check types."""

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'phasediag' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all names, those that have not been used included."""
    return sorted({*globals(), *__all__})
