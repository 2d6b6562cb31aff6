r"""Gradient starvation: strongly learned features take the gradient away from weaker ones.

Linear models of n samples with labels y_i in {-1, 1}: outputs Phi theta, and Y Phi = U S V^T with Y = diag(y). Column j
of V is feature j, s_j its strength, and U_ij says how it is present in sample i.

* margins u = Y Phi theta (n of them), responses z = U^T u (r of them); u = U z;
* loss, a *sum* over samples and without factors but these,

      L = sum_i log(1 + exp(-u_i)) + (l2/2) |theta|^2 + (decoupling/2) |u|^2,

  where the last term is the penalty on the outputs that is called spectral decoupling; both penalties may be there.

Conversions: with a loss that is the *mean* over n samples, a framework's weight decay w is l2 = n w here, and time is n
times shorter; a penalty c mean(output^2) beside the mean loss, or c sum(output^2) beside the sum, is decoupling = 2 c.
The networks of :class:`TwoMoons` and :class:`ColoredDigits` are trained on the mean, with the framework's own numbers.

Source: Pezeshki, Kaba, Bengio, Courville, Precup, Lajoie, "Gradient starvation", arXiv 2011.09468.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynamics.algorithms import Adam, Algorithm, DualDescent, DualFlow, MomentumDescent, PrimalDescent, PrimalFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation._coupled import Coupled, CoupledFeatures, Problem, TwoSamples
from dynamics.gradient_starvation._networks import ColoredDigits, TwoMoons
from dynamics.parameters import Declared
from dynamics.results import Variable

__all__ = [
    "ALGORITHMS",
    "PROBLEMS",
    "VARIABLES",
    "ColoredDigits",
    "Coupled",
    "CoupledFeatures",
    "Problem",
    "TwoMoons",
    "TwoSamples",
    "check_pair",
]

#: Symbols and meanings of what theory and simulation answer with.
VARIABLES: Mapping[str, Variable] = {
    "response": Variable("z_j", "response of a feature"),
    "margin": Variable("u_i", "margin of a sample"),
    "feature": Variable("j", "feature"),
    "sample": Variable("i", "sample"),
    "nonlinearity": Variable(r"\mathrm{NL}", "deviation of the decision boundary from a straight line"),
    "second_share": Variable(r"\mathrm{GS}", "share of the second coordinate in the output's gradient"),
    "shifted_accuracy": Variable(r"\mathrm{OOD}", "accuracy where the stronger feature is no guide"),
    "grey_accuracy": Variable(r"A_g", "accuracy on images without colour"),
    "blank_accuracy": Variable(r"A_b", "accuracy on coloured images without shape"),
    "grey_blank_accuracy": Variable(r"A_{gb}", "accuracy on images without colour and shape"),
    "shifted_entropy": Variable(r"H_s", "mean entropy of the prediction where the stronger feature is no guide"),
    "grey_entropy": Variable(r"H_g", "mean entropy of the prediction on images without colour"),
    "blank_entropy": Variable(r"H_b", "mean entropy of the prediction on coloured images without shape"),
    "grey_blank_entropy": Variable(r"H_{gb}", "mean entropy of the prediction on images without colour and shape"),
    "strength": Variable("s_j", "strength of a feature"),
    "output": Variable("f", "output of the network"),
    "first_coordinate": Variable("x_1", "first coordinate"),
    "second_coordinate": Variable("x_2", "second coordinate"),
    "training_accuracy": Variable(r"A", "accuracy on the training data"),
    "training_loss": Variable(r"L", "mean logistic loss on the training data, without penalties"),
    "mean_margin": Variable(r"\bar u", "mean margin on the training data"),
}

#: The problems and the algorithms that have a meaning here, the default first.
PROBLEMS: tuple[type[Problem], ...] = (TwoSamples, CoupledFeatures, TwoMoons, ColoredDigits)
_OF_FEATURES: tuple[type[Algorithm], ...] = (PrimalDescent, PrimalFlow, DualDescent, DualFlow)
_OF_NETWORKS: tuple[type[Algorithm], ...] = (MomentumDescent, Adam)
ALGORITHMS = (*_OF_FEATURES, *_OF_NETWORKS)


def check_pair(problem: Declared, algorithm: Declared) -> None:
    """Refuse a problem or an algorithm of another phenomenon, and pairs without meaning, naming those that have one."""
    for name, value, allowed in (("problem", problem, PROBLEMS), ("algorithm", algorithm, ALGORITHMS)):
        if not isinstance(value, allowed):
            have = ", ".join(cls.__name__ for cls in allowed)
            raise ParameterError(f"{name} must be one of {have} for gradient starvation; got {type(value).__name__}")
    fitting = _OF_FEATURES if isinstance(problem, Coupled) else _OF_NETWORKS
    if not isinstance(algorithm, fitting):
        have = ", ".join(cls.__name__ for cls in fitting)
        raise ParameterError(f"algorithm must be one of {have} for {type(problem).__name__}; got {algorithm.label}")
