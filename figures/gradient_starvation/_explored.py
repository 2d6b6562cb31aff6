"""How gradient starvation is explored: views of it and its remedies, and who starves whom in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analytic.gradient_starvation import critical_ratio, elasticity, fixed_point, hard_margin, phase
from dynamics.algorithms import Adam, Algorithm, DualDescent, MomentumDescent, PrimalDescent
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import ColoredDigits, Coupled, CoupledFeatures, Problem, TwoMoons, TwoSamples
from figures.asking import Ensemble, Question
from figures.explored import Explored, Preset, Shown, StepTimes
from figures.phenomena import phenomenon
from simulations.gradient_starvation import Precision

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EXPLORED", "seen"]

#: Responses that differ by less than this part of the largest are at rest.
_AT_REST = 0.005
#: Elasticities of this size are rounding.
_NO_CHANGE = 1e-9
_WITHOUT_NUMBERS = {
    "uncoupled": "Uncoupled, s = 0: each feature is learned as if it were alone.",
    "balanced": "Balanced: the strength of either feature does not matter to the other's response at rest.",
    "complete": "Complete starvation, s² = 1/2: one feature explains all labels, the other is not learned in the end.",
}
_LETTERS = {"nonlinearity": "NL", "second_share": "GS", "shifted_accuracy": "OOD", "training_accuracy": "A"}


def seen(problem: Problem, algorithm: Algorithm, theory: xr.Dataset | None) -> str:
    """Say which feature starves which, and where the curves are in the end."""
    if isinstance(problem, ColoredDigits):
        return _digits(problem, algorithm)
    if not isinstance(problem, Coupled):
        return _moons(theory)
    try:
        who = _two(problem) if isinstance(problem, TwoSamples) else _several(problem)
    except (ParameterError, ArithmeticError) as refusal:
        who = f"No verdict: {refusal}."
    return f"{who} {_end(problem, theory)}".strip()


def _two(problem: TwoSamples) -> str:
    """Name the phase of two features, with the ratio of strengths and the elasticity."""
    verdict = phase(problem)
    if verdict in _WITHOUT_NUMBERS:
        return _WITHOUT_NUMBERS[verdict]
    # the feature that helps both samples, and the one that hurts one of them
    cause, hurt = (0, 1) if problem.coupling > 0.0 else (1, 0)
    unpenalised = problem.l2 == problem.decoupling == 0.0
    penalty = problem.strength**-2.0 * (1.0 if unpenalised else problem.l2) + problem.decoupling
    ratio, s = float(penalty[hurt] / penalty[cause]), abs(problem.coupling)
    critical = critical_ratio(min(s, math.sqrt((1.0 - s) * (1.0 + s))))
    where = {"helping": "below 1", "soft": f"between 1 and the critical {critical:.3g}"}
    named = f"{verdict.capitalize()}{'' if verdict == 'helping' else ' starvation'} of feature {hurt + 1}"
    of = "ratio of squared strengths" if problem.decoupling == 0.0 else "ratio of penalties"
    told = f"{named}: the {of} is {ratio:.3g}, {where.get(verdict, f'above the critical {critical:.3g}')}"
    if unpenalised:
        return f"{told}."
    change = float(elasticity(problem)[hurt, cause])
    way = "takes" if change < 0.0 else "adds"
    off = "off" if change < 0.0 else "to"
    return f"{told}; 1 % more s_{cause + 1}² {way} {abs(change):.3g} % {off} z_{hurt + 1}."


def _several(problem: Coupled) -> str:
    """List who starves whom."""
    if problem.l2 == problem.decoupling == 0.0:
        return ""
    starves = elasticity(problem) < -_NO_CHANGE
    told = []
    for cause, column in enumerate(starves.T):
        if column.any():
            told.append(f"{cause + 1} starves {' and '.join(str(1 + hurt) for hurt in np.flatnonzero(column))}")
    return f"Features: {', '.join(told)}." if told else "No feature starves another."


def _end(problem: Coupled, theory: xr.Dataset | None) -> str:
    """Compare the last responses with those at rest."""
    grows = problem.l2 == problem.decoupling == 0.0
    try:
        rest = (hard_margin if grows else fixed_point)(problem)["response"].values
    except (ParameterError, ArithmeticError) as refusal:
        return f"No responses at rest: {refusal}."
    ends = f"without penalties they grow for ever, along {_vector(rest)}" if grows else f"at rest {_vector(rest)}"
    if theory is None:
        return f"Responses: {ends}."
    last = theory["response"].isel(time=-1).values
    if not np.isfinite(last).all():
        return f"The last responses are beyond all numbers; {ends}."
    when = f"{float(theory['time'].values[-1]):.3g}"
    told = f"Responses {_vector(last)} at the end, {'t' if theory['time'].dtype.kind == 'i' else 'τ'} = {when}"
    if not grows and np.abs(last - rest).max() <= _AT_REST * np.abs(rest).max():
        return f"{told}: at rest."
    return f"{told}; {ends}."


def _vector(values: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{value:.3g}' for value in values)})"


def _moons(theory: xr.Dataset | None) -> str:
    """Say where the statistics of the linearised networks are in the end."""
    if theory is None:
        return (
            "No theory here: only networks of one hidden layer without dropout and normalization, trained by momentum "
            "descent, are linearised."
        )
    last = theory.isel(time=-1)
    told = [f"{letter} = {float(last[name].mean()):.3g}" for name, letter in _LETTERS.items()]
    return f"Linearised networks after {int(last['time'])} epochs: {', '.join(told)}."


def _digits(problem: ColoredDigits, algorithm: Algorithm) -> str:
    """Say what either feature alone is good for."""
    colour, test = 1.0 - (problem.first_flip + problem.second_flip) / 2.0, 1.0 - problem.test_flip
    told = (
        f"No theory here. The colour alone gives {100.0 * colour:.3g} % of the training and {100.0 * test:.3g} % of "
        f"the test labels, the digit at most {100.0 * (1.0 - problem.flip):.3g} % of both."
    )
    switch, penalised = getattr(algorithm, "switch", 0), getattr(algorithm, "output_penalty", 0.0) > 0.0
    return f"{told} The penalty on outputs counts from step {switch} on." if penalised and switch else told


def _shown(
    problem: Problem, algorithm: Algorithm, last: int, runs: int = 10, count: int = 100, **choices: Any
) -> Shown:
    asked = Question(phenomenon("gradient-starvation"), problem, algorithm, Ensemble(runs=runs), Precision(), **choices)
    return Shown(asked, StepTimes(last=last, count=count))


def _moons_shown(problem: TwoMoons, algorithm: MomentumDescent, last: int) -> Shown:
    return _shown(problem, algorithm, last, runs=5, count=24, method="linearised")


def _presets() -> tuple[Preset, ...]:
    six = TwoSamples(strong=6.0, weak=2.0, coupling=0.5, l2=0.01)
    two, decoupled = six.model_copy(update={"strong": 2.0}), {"l2": 1e-4, "decoupling": 0.002}
    easy, descent = TwoMoons(margin=0.1), PrimalDescent(learning_rate=0.05)
    return (
        Preset(
            "starved feature: s₁ = 6, against s₁ = 2, with s₂ = 2", _shown(six, descent, 5000),
            (_shown(two, descent, 5000),),
        ),
        Preset(
            "figure 6 of arXiv 2011.09468: spectral decoupling, s₁ = 6 against 2: the second response is the same",
            _shown(six.model_copy(update=decoupled), descent, 5000),
            (_shown(two.model_copy(update=decoupled), descent, 5000),),
        ),
        Preset(
            "figure 6: the dual way to the same end, against the primal one",
            _shown(six, DualDescent(initial=1e-6, learning_rate=3e-6), 5000), (_shown(six, descent, 5000),),
        ),
        Preset(
            "figure 1: two moons, networks at margin 0.1 against linearisations, margin −0.1 dashed",
            _moons_shown(easy, MomentumDescent(), 1000),
            (_moons_shown(TwoMoons(margin=-0.1), MomentumDescent(), 1000),),
        ),
        Preset(
            "figure 2: two moons, spectral decoupling against weight decay alone",
            _moons_shown(easy, MomentumDescent(weight_decay=2e-4, output_penalty=0.003), 3000),
            (_moons_shown(easy, MomentumDescent(weight_decay=2e-4), 3000),),
        ),
        Preset(
            "coloured digits: spectral decoupling from step 450 on",
            _shown(ColoredDigits(), Adam(learning_rate=1e-4, output_penalty=1.0, switch=450), 600, runs=4, count=300),
        ),
        Preset(
            "coloured digits: invariant risk minimisation from step 100 on",
            _shown(
                ColoredDigits(), Adam(learning_rate=1e-3, weight_decay=2e-3, invariance=1e4, switch=100), 500, runs=4
            ),
        ),
    )  # fmt: skip


EXPLORED = Explored(
    starts=(
        _shown(TwoSamples(strong=6.0, weak=2.0, coupling=0.5, l2=0.01), PrimalDescent(learning_rate=0.05), 5000),
        # the first feature is in all three samples
        _shown(
            CoupledFeatures(
                strengths=(6.0, 3.0, 2.0),
                coupling=((2 / 3, -2 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3), (2 / 3, 1 / 3, -2 / 3)),
                l2=0.01,
            ),
            PrimalDescent(learning_rate=0.05), 5000,
        ),
        _moons_shown(TwoMoons(margin=0.1), MomentumDescent(), 1000),
        _shown(ColoredDigits(), Adam(learning_rate=1e-4, output_penalty=1.0, switch=450), 600, runs=4, count=300),
    ),
    presets=_presets(),
    axis="linear",
    # of networks, responses come last
    curves=(
        ("training_accuracy", "shifted_accuracy", "grey_accuracy", "blank_accuracy", "nonlinearity", "second_share"),
        ("response",),
    ),
    seen=seen,
)  # fmt: skip
