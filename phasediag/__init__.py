"""phasediag: an exact phase-diagram solver for superposition.

A tour, stage by stage; every name is loaded when it is first used. Drawings are in ``phasediag.figures``.
"""

from importlib import import_module

_HOME = {
    # the model, and the order parameters of its weights
    "ToyModel": "model",
    "classify": "phases",
    "Phase": "phases",
    "Cluster": "phases",
    "feature_norm": "order_parameters",
    "interference": "order_parameters",
    "feature_dimensionality": "order_parameters",
    "dimensions_per_feature": "order_parameters",
    # the exact expected loss
    "expected_loss": "loss",
    "expected_loss_with_error": "loss",
    "expected_loss_and_gradient": "loss",
    "expected_loss_hessian": "loss",
    "monte_carlo_loss": "loss",
    "loss_terms": "terms",
    "LossTerms": "terms",
    "optimal_bias": "biases",
    "superposition": "order_parameters",
    # the candidates and their closed forms
    "configurations": "candidates",
    "Configuration": "candidates",
    "symbolic_expected_loss": "symbolic",
    "ClosedForm": "closed_forms",
    "compile_loss": "symbolic",
    # minima over all weights and biases
    "minimize": "minima",
    "Minimum": "minima",
    # trained models
    "train": "training",
    "TrainingRun": "training",
    "trained_phase_diagram": "trained",
    "TrainedModels": "trained_models",
    # weights trained elsewhere
    "inspect": "inspection",
    "Inspection": "inspection",
    # the paper's other figures: what is stored as features become sparse, the linear theory, points on a sphere
    "sweep_density": "sweep",
    "DensitySweep": "sweep",
    "linear_minimum": "linear_theory",
    "LinearMinimum": "linear_theory",
    "thomson": "sphere",
    "SphereConfiguration": "sphere",
    "congruent": "sphere",
    # phase diagrams and their boundaries
    "phase_diagram": "diagram",
    "PhaseDiagram": "diagram",
    "PhaseBoundary": "boundaries",
    "TriplePoint": "boundaries",
    "frozen_boundaries": "frozen_equations",
    "FrozenBoundary": "frozen_equations",
    "FrozenTriplePoint": "frozen_equations",
    # theory against training
    "validate": "validation",
    "validate_trained": "validation",
    "Validation": "validation",
    "Agreement": "agreement",
    "Attribution": "attribution",
    "SamplingTest": "sampled_losses",
}

__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'phasediag' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
