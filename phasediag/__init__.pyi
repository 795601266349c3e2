# ruff: noqa: I001 - in the order of the tour
"""Where the public names are: for type checkers, and for `phasediag.__getattr__`, which reads a line for each name."""

__version__: str
__all__: list[str]

from .model import ToyModel as ToyModel
from .phases import classify as classify
from .phases import classify_many as classify_many
from .phases import Phase as Phase
from .phases import Cluster as Cluster
from .order_parameters import feature_norm as feature_norm
from .order_parameters import interference as interference
from .order_parameters import feature_dimensionality as feature_dimensionality
from .order_parameters import dimensions_per_feature as dimensions_per_feature
from .order_parameters import superposition as superposition
from .loss import expected_loss as expected_loss
from .loss import expected_loss_with_error as expected_loss_with_error
from .loss import expected_loss_and_gradient as expected_loss_and_gradient
from .loss import expected_loss_hessian as expected_loss_hessian
from .loss import monte_carlo_loss as monte_carlo_loss
from .terms import loss_terms as loss_terms
from .terms import LossTerms as LossTerms
from .biases import optimal_bias as optimal_bias
from .candidates import configurations as configurations
from .candidates import Configuration as Configuration
from .symbolic import symbolic_expected_loss as symbolic_expected_loss
from .symbolic import compile_loss as compile_loss
from .closed_forms import ClosedForm as ClosedForm
from .minima import minimize as minimize
from .minima import Minimum as Minimum
from .linear_theory import linear_minimum as linear_minimum
from .linear_theory import LinearMinimum as LinearMinimum
from .planes import ControlPlane as ControlPlane
from .planes import Axis as Axis
from .diagram import phase_diagram as phase_diagram
from .diagram import PhaseDiagram as PhaseDiagram
from .boundaries import PhaseBoundary as PhaseBoundary
from .boundaries import Spinodal as Spinodal
from .boundaries import TriplePoint as TriplePoint
from .frozen_equations import frozen_boundaries as frozen_boundaries
from .frozen_equations import FrozenBoundary as FrozenBoundary
from .frozen_equations import FrozenTriplePoint as FrozenTriplePoint
from .training import train as train
from .training import TrainingRun as TrainingRun
from .trained_diagram import trained_phase_diagram as trained_phase_diagram
from .trained_models import TrainedModels as TrainedModels
from .sweep import sweep_density as sweep_density
from .sweep import DensitySweep as DensitySweep
from .weight_files import read_weights as read_weights
from .weight_files import WeightFile as WeightFile
from .inspection import inspect as inspect
from .inspection import Inspection as Inspection
from .ensembles import inspect_many as inspect_many
from .ensembles import Ensemble as Ensemble
from .comparison import compare as compare
from .comparison import Comparison as Comparison
from .comparison import diagram_of_models as diagram_of_models
from .validation import validate as validate
from .validation import validate_trained as validate_trained
from .validation import Validation as Validation
from .agreement import Agreement as Agreement
from .attribution import Attribution as Attribution
from .sampled_losses import SamplingTest as SamplingTest
from .sphere import thomson as thomson
from .sphere import SphereConfiguration as SphereConfiguration
from .sphere import congruent as congruent
