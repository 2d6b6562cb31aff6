r"""Theory of gradient starvation and spectral decoupling (arXiv 2011.09468), for coupled features exactly.

Dual variables. log(1 + exp(-u)) is the largest H(a) - a u over a in [0, 1], H(a) = -a log a - (1-a) log(1-a), attained
at a = sigma(-u). Minimising over the weights first leaves the strictly concave

    D(alpha) = sum_i H(alpha_i) - alpha^T K alpha/2,    K = U diag(1/p) U^T,    p_j = l2/s_j^2 + decoupling,

so that the dual flow has one fixed point, attracting from everywhere, and it is that of the primal flow,

    p_j z_j = (U^T alpha)_j,    alpha = sigma(-u),    u = U z.

Spectral decoupling puts the same penalty on the response of every feature. Alone (l2 = 0) it takes the strengths out of
K and of the fixed point, but neither out of the primal flow's speed, which is s_j^2 (U^T 1)_j/2 at first, nor, where
there are more samples than features, the coupling out of anything.
"""

from analytic.gradient_starvation._fixed_point import fixed_point
from analytic.gradient_starvation._hard_margin import hard_margin
from analytic.gradient_starvation._laws import LargePenalty, large_penalty, small_penalty
from analytic.gradient_starvation._linearised import linearised
from analytic.gradient_starvation._phases import critical_ratio, phase
from analytic.gradient_starvation._scalar import scalar_root, uncoupled_flow
from analytic.gradient_starvation._sensitivity import elasticity, elasticity_grid, sensitivity
from analytic.gradient_starvation._solve import METHODS, METHODS_ON_DATA, solve

__all__ = [
    "METHODS",
    "METHODS_ON_DATA",
    "LargePenalty",
    "critical_ratio",
    "elasticity",
    "elasticity_grid",
    "fixed_point",
    "hard_margin",
    "large_penalty",
    "linearised",
    "phase",
    "scalar_root",
    "sensitivity",
    "small_penalty",
    "solve",
    "uncoupled_flow",
]
