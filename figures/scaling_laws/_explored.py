"""How scaling laws are explored: views of momentum against SGD, and phase, exponents, floor and stability in words."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from analytic.scaling_laws import Stability, exponents, limit_risk, phase, stability
from dynamics.algorithms import SGD, DanaDecaying, HeavyBall, OneRate, ScheduleFree, StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Problem, Spectrum
from figures.asking import Ensemble, Question
from figures.explored import Explored, Preset, Shown, StepTimes
from figures.phenomena import phenomenon

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EXPLORED", "seen"]

#: The step at which schedules have reached what they tend to: that of ``stability``.
_LATE = 1e15

_stability = functools.lru_cache(maxsize=256)(stability)


def seen(problem: Problem, algorithm: StochasticAlgorithm, theory: xr.Dataset | None) -> str:
    """Say phase and exponents, how near the risk has come to where it ends, and how near the steps are to too long."""
    step = _LATE if theory is None else float(theory["time"].values[-1])
    found: Stability | None = None
    try:
        found = _stability(problem, algorithm, step=step)
        steps = _steps(problem, algorithm, found)
    except ParameterError as refusal:
        steps = f"No stability bound: {refusal}."
    parts = [_law(problem, algorithm), "" if theory is None else _reached(problem, algorithm, theory, found), steps]
    return " ".join(part for part in parts if part)


def _law(problem: Problem, algorithm: StochasticAlgorithm) -> str:
    """Name the phase and the exponents of the compute."""
    if isinstance(problem, PowerLawSpectrum) and phase(problem.alpha, problem.beta) == "none":
        return "α + β ≤ 1/2: the risk at step 0 grows with d, and there is no power law."
    if not isinstance(problem, PowerLawRandomFeatures):
        return ""
    name, plain = phase(problem.alpha, problem.beta), exponents(problem.alpha, problem.beta, SGD.label)
    try:
        found = exponents(problem.alpha, problem.beta, algorithm.label)
    except ParameterError:
        return (
            f"Phase {name}: P ~ f^-{plain.loss:.3g} at d* ~ f^{plain.size:.3g} with SGD, f = d t; not known for others."
        )
    besides = "" if found == plain else f" (SGD: f^-{plain.loss:.3g}, f^{plain.size:.3g})"
    given = algorithm != type(algorithm)(batch_size=algorithm.batch_size)
    condition = ", if coefficients scale with d like the defaults" if given else ""
    return f"Phase {name}: P ~ f^-{found.loss:.3g} at d* ~ f^{found.size:.3g}, f = d t{besides}{condition}."


def _reached(problem: Problem, algorithm: StochasticAlgorithm, theory: xr.Dataset, found: Stability | None) -> str:
    """Compare the last risk with the smallest one, and with what constant coefficients tend to."""
    last = float(theory["risk"].isel(time=-1).mean())
    told = f"At t = {float(theory['time'].values[-1]):.3g} the risk is P = {last:.3g}"
    floor = limit_risk(problem) if isinstance(problem, PowerLawRandomFeatures) else getattr(problem, "floor", 0.0)
    if floor == 0.0:
        told += "; its floor is 0"
    else:
        told += f", {last / floor:.3g} times its floor P∞ = {floor:.3g}"
    if found is not None and found.kernel_norm < 1.0 and algorithm.rule(problem.curvature).constant:
        end = (floor + found.kernel_norm * problem.noise**2) / (1.0 - found.kernel_norm)
        if end > 0.0:
            told += f"; with the noise of the gradients it tends to {end:.3g}"
    return f"{told}."


def _steps(problem: Problem, algorithm: StochasticAlgorithm, found: Stability) -> str:
    """Say how near the learning rate is to where the mean risk no longer converges."""
    norm, largest = found.kernel_norm, found.largest_learning_rate
    if norm == math.inf:
        told = "Unstable: single modes diverge"
    elif norm >= 1.0:
        told = f"Unstable in the mean: N = {norm:.3g} is not below 1"
    else:
        told = f"Stable in the mean: N = {norm:.3g} of 1"
    if not isinstance(algorithm, OneRate):
        return f"{told}."
    rate = _rate(problem, algorithm)
    if largest is None:
        return f"{told}; learning rate {rate:.3g}, but none is stable with such momentum."
    if largest == math.inf:
        return f"{told}; learning rate {rate:.3g}, and none is too large."
    return f"{told}; learning rate {rate:.3g}, at most {largest:.3g}."


def _rate(problem: Problem, algorithm: OneRate) -> float:
    """Return the learning rate as given, or what it is by default."""
    if algorithm.learning_rate is not None:
        return algorithm.learning_rate
    rule = algorithm.rule(problem.curvature).at_one(0.0)
    name = (
        "gamma3" if isinstance(algorithm, HeavyBall) else "gamma1" if isinstance(algorithm, ScheduleFree) else "gamma2"
    )
    return float(getattr(rule, name))


def _shown(problem: Problem, algorithm: StochasticAlgorithm, last: int = 10**5, **choices: Any) -> Shown:
    choices = {"ensemble": Ensemble(runs=32)} | choices
    return Shown(Question(phenomenon("scaling-laws"), problem, algorithm, **choices), StepTimes(last=last))


def _presets() -> tuple[Preset, ...]:
    second = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=300)
    steep = {beta: PowerLawRandomFeatures(alpha=1.0, beta=beta, dimension=200) for beta in (0.3, 0.7, 1.5)}
    large = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    given = PowerLawSpectrum(alpha=0.8, beta=0.8, dimension=100, floor=1e-4)
    noisy = PowerLawRandomFeatures(alpha=0.7, beta=1.0, dimension=200, noise=0.1)
    wide: dict[str, Any] = {"simulation": "grouped", "ensemble": Ensemble(runs=16)}
    return (
        Preset(
            "DANA-decaying against SGD in phase II",
            _shown(second, DanaDecaying(batch_size=16)),
            (_shown(second, SGD(batch_size=16)),),
        ),
        Preset(
            "a billion random features: DANA-decaying against SGD and Schedule-Free",
            _shown(large, DanaDecaying(batch_size=16), 10**4, **wide),
            tuple(_shown(large, one, 10**4, **wide) for one in (SGD(batch_size=16), ScheduleFree(batch_size=16))),
        ),
        Preset(
            "targets of phases III, II and Ia: β = 1.5, against 0.7 and 0.3",
            _shown(steep[1.5], SGD()),
            (_shown(steep[0.7], SGD()), _shown(steep[0.3], SGD())),
        ),
        Preset(
            "heavy ball against SGD: the same slope sooner, after oscillations",
            _shown(second, HeavyBall(batch_size=16)),
            (_shown(second, SGD(batch_size=16)),),
        ),
        Preset(
            "discrete steps against differential equations: the full one agrees, the simplified one does not",
            _shown(given, SGD(learning_rate=0.5), method="recursion"),
            tuple(_shown(given, SGD(learning_rate=0.5), method=way) for way in ("flow", "flow_simplified")),
        ),
        Preset(
            "label noise: the noise of gradients keeps the risk above its floor; a batch of 16 removes most of it",
            _shown(noisy, SGD(learning_rate=0.2)),
            (_shown(noisy, SGD(learning_rate=0.2, batch_size=16)),),
        ),
    )


EXPLORED = Explored(
    starts=(
        _shown(PowerLawSpectrum(alpha=1.0, beta=0.7, dimension=200, floor=1e-4), SGD(), method="recursion"),
        # three modes, learned one after the other
        _shown(
            Spectrum(eigenvalues=(1.0, 0.02, 4e-4), initial_error=(0.9, 4.5, 22.5), floor=1e-4),
            SGD(batch_size=16),
            method="recursion",
        ),
    ),
    presets=_presets(),
    curves=(("risk",),),
    seen=seen,
)
