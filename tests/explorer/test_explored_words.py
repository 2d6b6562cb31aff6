"""What is said to be seen of each phenomenon, against numbers found in other ways."""

import math
import re

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq, root
from scipy.special import expit

from analytic.double_descent import extrema
from dynamics.algorithms import (
    SGD,
    Adam,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    MomentumDescent,
    Nesterov,
    PrimalDescent,
    PrimalFlow,
    ScheduleFree,
)
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.gradient_starvation import ColoredDigits, CoupledFeatures, TwoMoons, TwoSamples
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from dynamics.times import log_steps
from figures.explored import FlowTimes, StepTimes, begin
from figures.phenomena import phenomenon
from tests.explorer.test_explored import EXPLORED, asked, said

double_descent, scaling_laws, starvation = (
    EXPLORED[name].seen for name in ("double-descent", "scaling-laws", "gradient-starvation")
)


# double descent


def curve(times, values):
    return xr.Dataset({"generalization_error": ("time", np.array(values))}, {"time": np.array(times)})


def seen_of(problem, algorithm=None, last=1e6, count=300):
    algorithm = GradientFlow() if algorithm is None else algorithm
    times = StepTimes(last=int(last)) if algorithm.discrete else FlowTimes(last=last, count=count)
    return said(double_descent(problem, algorithm, asked(begin("double-descent", problem, algorithm, times=times))))


def test_words_of_curves_made_by_hand():
    problem, descent = TeacherStudent(), GradientDescent()
    told = double_descent(problem, descent, curve([1, 2, 3, 4], [0.5, 0.3, 0.4, 0.1]))
    assert told == (
        "Double descent of E_G: 0.5 at t = 1, down to 0.3 at t = 2, up by 0.1 to 0.4 at t = 3, down to 0.1 in the "
        "end, t = 4. It is best not to stop."
    )
    assert double_descent(problem, descent, curve([1, 2, 3, 4, 5], [0.5, 0.2, 0.4, 0.3, 0.6])).endswith(
        "up by 0.3 to 0.6 in the end, t = 5. It is best to stop at the first minimum, t = 2."
    )
    assert double_descent(problem, descent, curve([1, 2, 3, 4, 5], [0.5, 0.3, 0.4, 0.2, 0.6])).endswith(
        "It is best to stop at the last minimum, t = 4."
    )
    assert double_descent(problem, descent, curve([1, 2, 3], [0.5, 0.25, 0.4])) == (
        "Single descent of E_G: 0.5 at t = 1, down to 0.25 at t = 2, up by 0.15 to 0.4 in the end, t = 3. "
        "It is best to stop at the only minimum, t = 2."
    )
    assert double_descent(problem, descent, curve([1, 2], [0.5, 0.75])) == (
        "No descent of E_G: 0.5 at t = 1, up by 0.25 to 0.75 in the end, t = 2. It is best not to train."
    )
    zigzag = [0.5 + 0.3 * (-1) ** k / (k + 1) for k in range(13)]
    assert double_descent(problem, descent, curve(range(1, 14), zigzag)).startswith("E_G oscillates, with 6 descents")
    flat = double_descent(problem, descent, curve([1, 2, 3], [0.5, 0.5, 0.5]))
    assert flat.startswith("No descent of E_G: 0.5 at t = 1, still 0.5 in the end")


def test_extrema_between_the_times_of_a_flow():
    log = np.log(np.geomspace(1e-2, 1e2, 12))
    told = double_descent(TeacherStudent(), GradientFlow(), curve(np.exp(log), 0.3 + 0.01 * (log - 0.7) ** 2))
    assert f"down to 0.3 at τ = {math.exp(0.7):.3g}, up" in told  # a parabola, exactly


def test_double_descent_is_where_its_own_theory_says():
    problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=7.0, noise=0.3)
    told, found = seen_of(problem), extrema(problem)
    assert found["kind"].values.tolist() == ["minimum", "maximum", "minimum"]
    places = re.findall(r"(?:down|up by \S+) to (\S+) (?:at|in the end,) τ = (\S+?)[,.] ", told)
    for (error, time), exact, when in zip(
        places, found["generalization_error"].values, found["time"].values, strict=False
    ):
        assert float(error) == pytest.approx(exact, rel=5e-3)
        assert float(time) == pytest.approx(when, rel=2e-2)
    assert told.startswith("Double descent")
    assert "κ_c" not in told


def test_condition_numbers_against_the_threshold():
    problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=5.0)
    assert seen_of(problem).endswith("κ = 5 is not above κ_c = 5.2, where a second descent begins.")
    assert seen_of(problem.model_copy(update={"condition_number": 5.4})).startswith("Double descent")
    early = seen_of(problem.model_copy(update={"condition_number": 50.0}), last=10.0, count=20)
    assert early.endswith("κ = 50 is above κ_c = 5.2: the second descent is later than shown, or too small.")
    assert "κ_c" not in seen_of(problem, GradientFlow(l2=0.1))
    assert "κ_c" not in seen_of(problem, GradientDescent())
    assert "one scale" in seen_of(problem.model_copy(update={"fast": 100}))


def test_limits_of_one_scale():
    # isotropic features: what n < d samples cannot see stays, (1 - n/d)/2; noise leaves sigma^2/2/(n/d - 1)
    few = seen_of(TwoScale(samples=50, dimension=100, fast=60, condition_number=1.0))
    assert "down to 0.25 in the end, τ = 1e+06. It is best not to stop. With n = 50 ≤ p = 60 training inter" in few
    noisy = seen_of(TwoScale(samples=200, dimension=100, fast=60, condition_number=1.0, noise=1.0))
    assert noisy.startswith("Single descent of E_G: 0.4")
    assert "to 0.5 in the end, τ = 1e+06. It is best to stop at the only minimum" in noisy


def test_unstable_descent():
    problem = TwoScale(samples=400, dimension=100, fast=60, condition_number=1.0)  # edge (sqrt 4 + 1)^2 = 9
    told = seen_of(problem, GradientDescent(learning_rate=0.3), last=100)
    assert told.startswith("Unstable: learning_rate (step size) must be at most ")
    assert "= 0.222222" in told
    told = seen_of(problem, GradientDescent(learning_rate=0.22), last=100)
    assert told.startswith("Single descent")


# scaling laws


def laws(problem, algorithm, last=None, method=None):
    times = None if last is None else log_steps(last, 5)
    analytic = phenomenon("scaling-laws").analytic
    theory = None if times is None else analytic.solve(problem, algorithm, times, method=method or analytic.METHODS[0])
    return said(scaling_laws(problem, algorithm, theory))


@pytest.mark.parametrize(
    ("alpha", "beta", "name", "loss", "size"),
    [
        (1.0, 0.3, "Ia", 1.6 / 3.0, 1.0 / 3.0),  # F_pp = F_0: (2 a + 2 b - 1)/(2 a + 1), 1/(2 a + 1)
        (0.4, 0.35, "Ib", None, None),
        (1.0, 1.5, "III", 0.75, 0.5),  # 1 - 1/(4 a), 1/2
        (0.13, 1.1, "Ic", None, None), (1.15, 0.75, "II", None, None), (0.4, 1.0, "IVa", None, None),
        (0.27, 1.35, "IVb", None, None),
    ],
)  # fmt: skip
def test_phases_and_exponents(alpha, beta, name, loss, size):
    told = laws(PowerLawRandomFeatures(alpha=alpha, beta=beta, dimension=50), SGD())
    found = re.match(r"Phase (\w+): P ~ f\^-(\S+) at d\* ~ f\^(\S+), f = d t\. ", told)
    assert found[1] == name
    if loss is not None:
        assert (found[2], found[3]) == (f"{loss:.3g}", f"{size:.3g}")


def test_exponents_are_those_of_the_algorithm():
    problem = PowerLawRandomFeatures(alpha=1.0, beta=1.5, dimension=50)
    assert laws(problem, DanaDecaying()).startswith(
        "Phase III: P ~ f^-0.9 at d* ~ f^0.6, f = d t (SGD: f^-0.75, f^0.5). "
    )
    assert laws(problem, HeavyBall()).startswith("Phase III: P ~ f^-0.75 at d* ~ f^0.5, f = d t. ")
    given = laws(problem, HeavyBall(momentum=0.5))
    assert "f^0.5, f = d t, if coefficients scale with d like the defaults. " in given
    assert "with SGD, f = d t; not known for others. " in laws(problem, GeneralMomentum())
    assert laws(PowerLawSpectrum(alpha=0.2, beta=0.2), SGD()).startswith("α + β ≤ 1/2: ")


def test_floor_noise_and_stability_of_two_modes():
    problem = Spectrum(eigenvalues=(1.0, 0.5), initial_error=(1.0, 1.0), floor=0.1, noise=0.5)

    def norm(rate):  # of SGD, batch size 1: gamma l/(2 - 2 gamma l)
        return sum(rate * one / (2.0 - 2.0 * rate * one) for one in (1.0, 0.5))

    largest = brentq(lambda rate: norm(rate) - 1.0, 0.1, 0.9)
    risk = np.array([1.0, 1.0])  # w_j^2 in the mean, step by step
    for _ in range(40):
        eigen = np.array([1.0, 0.5])
        total = 0.1 + eigen @ risk + 0.25
        risk = (1.0 - 0.4 * eigen) ** 2 * risk + 0.16 * eigen * (eigen * risk + total - eigen * 0.0)
    last = 0.1 + np.array([1.0, 0.5]) @ risk
    told = laws(problem, SGD(learning_rate=0.4), 40, "recursion")
    end = (0.1 + norm(0.4) * 0.25) / (1.0 - norm(0.4))
    assert told == (
        f"At t = 40 the risk is P = {last:.3g}, {last / 0.1:.3g} times its floor P∞ = 0.1; with the noise of the "
        f"gradients it tends to {end:.3g}. Stable in the mean: N = {norm(0.4):.3g} of 1; learning rate 0.4, at most "
        f"{largest:.3g}."
    )
    assert laws(problem, SGD(learning_rate=0.8)) == (
        f"Unstable in the mean: N = {norm(0.8):.3g} is not below 1; learning rate 0.8, at most {largest:.3g}."
    )
    assert laws(problem, SGD(learning_rate=1.5)) == (
        f"Unstable: single modes diverge; learning rate 1.5, at most {largest:.3g}."
    )
    assert "; its floor is 0. " in laws(Spectrum(eigenvalues=[1.0], initial_error=[1.0]), SGD(), 4, "recursion")


def test_learning_rates_left_open():
    problem = Spectrum(eigenvalues=(1.0, 0.5), initial_error=(1.0, 1.0))
    for algorithm, part in ((SGD(), 1 / 3), (ScheduleFree(), 1 / 3)):  # 0.5/Tr
        assert f"learning rate {part:.3g}, " in laws(problem, algorithm)
    for algorithm in (HeavyBall(batch_size=4), Nesterov(batch_size=4)):  # half of the largest
        rate, largest = re.search(r"learning rate (\S+), at most (\S+)\.$", laws(problem, algorithm)).groups()
        assert float(largest) == pytest.approx(2 * float(rate), rel=0.01)


def test_stability_that_does_not_exist():
    problem = Spectrum(eigenvalues=(1.0, 0.5), initial_error=(1.0, 1.0))
    assert laws(problem, DanaConstant()).startswith("No stability bound: decay ")
    assert "No stability bound: risk_exponent " in laws(problem, GeneralMomentum(risk_exponent=0.5))
    strong = laws(problem, DanaConstant(decay=5.0, momentum_rate=1.0))
    assert strong.startswith("Unstable")
    assert strong.endswith("none is stable with such momentum.")


# gradient starvation


def rest(strengths, s, l2, decoupling=0.0):
    """The fixed point (l2/s_j^2 + decoupling) z = U^T sigma(-U z)."""
    c = math.sqrt(1.0 - s * s)
    u, p = np.array([[c, -s], [s, c]]), l2 / np.array(strengths) ** 2 + decoupling
    return root(lambda z: p * z - u.T @ expit(-u @ z), np.array([3.0, 1.0]), tol=1e-13).x


def elastic(strengths, s, l2, hurt, cause):
    both = [np.array(strengths) ** 2.0, np.array(strengths) ** 2.0]
    for sign, square in zip((1, -1), both, strict=True):
        square[cause] *= math.exp(sign * 1e-4)
    up, down = (math.log(abs(rest(np.sqrt(square), s, l2)[hurt])) for square in both)
    return (up - down) / 2e-4


def test_who_starves_whom():
    z, change = rest((6.0, 2.0), 0.5, 0.02), elastic((6.0, 2.0), 0.5, 0.02, 1, 0)
    c = math.sqrt(0.75)
    critical = c * (c + 0.5) / (0.5 * (c - 0.5))
    assert starvation(TwoSamples(strong=6.0, weak=2.0, coupling=0.5, l2=0.02), PrimalFlow(), None) == (
        f"Hard starvation of feature 2: the ratio of squared strengths is 9, above the critical {critical:.3g}; 1 % "
        f"more s_1² takes {-change:.3g} % off z_2. Responses: at rest ({z[0]:.3g}, {z[1]:.3g})."
    )
    # with a negative coupling the features change sides, with one beyond 1/sqrt 2 the samples do
    exchanged = starvation(TwoSamples(strong=2.0, weak=6.0, coupling=-0.5, l2=0.02), PrimalFlow(), None)
    assert exchanged == (
        f"Hard starvation of feature 1: the ratio of squared strengths is 9, above the critical {critical:.3g}; 1 % "
        f"more s_2² takes {-change:.3g} % off z_1. Responses: at rest ({z[1]:.3g}, {z[0]:.3g})."
    )
    helped = elastic((1.0, 2.0), 0.3, 0.5, 1, 0)
    told = starvation(TwoSamples(strong=1.0, weak=2.0, coupling=0.3, l2=0.5), PrimalFlow(), None)
    assert told.startswith("Helping of feature 2: the ratio of squared strengths is 0.25, below 1; 1 % more s_1² adds ")
    assert f" adds {helped:.3g} % to z_2." in told
    soft = starvation(TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=0.02, decoupling=0.001), PrimalFlow(), None)
    ratio = (0.02 / 4 + 0.001) / (0.02 / 16 + 0.001)
    assert soft.startswith(f"Soft starvation of feature 2: the ratio of penalties is {ratio:.3g}, between 1 and the")


def test_features_without_starvation():
    def told(**changes):
        return said(starvation(TwoSamples(**changes), PrimalFlow(), None))

    assert told(coupling=0.0).startswith("Uncoupled, s = 0")
    assert told(coupling=math.sqrt(0.5)).startswith("Complete starvation")
    assert told(strong=2.0, weak=2.0).startswith("Balanced")
    assert told(l2=0.0, decoupling=0.1, strong=9.0).startswith("Balanced")
    # without penalties: both samples matter at a ratio of 4, and z_2/z_1 = (c - s)/(c + s) with s = 0.5
    free, c = told(l2=0.0, strong=4.0), math.sqrt(0.75)
    direction = [float(x) for x in re.search(r"grow for ever, along \((\S+), (\S+)\)\.$", free).groups()]
    assert direction[1] / direction[0] == pytest.approx((c - 0.5) / (c + 0.5), rel=0.01)
    alone = CoupledFeatures(strengths=(3.0, 1.0), coupling=((1.0, 0.0), (0.0, 1.0)))
    assert starvation(alone, PrimalFlow(), None).startswith("No feature starves another. Responses: at rest (")
    pair = CoupledFeatures(strengths=(6.0, 2.0, 1.0), coupling=((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)))
    assert starvation(pair, PrimalFlow(), None).startswith("Features: 1 starves 2, 2 starves 1. Responses")


def test_where_responses_end():
    problem = TwoSamples(strong=6.0, weak=2.0, coupling=0.5, l2=0.02)
    z = rest((6.0, 2.0), 0.5, 0.02)
    for last, rested in ((10, False), (20_000, True)):
        theory = phenomenon("gradient-starvation").analytic.solve(problem, PrimalDescent(), [1, last])
        one, two = theory["response"].values[:, -1]
        told = said(starvation(problem, PrimalDescent(), theory))
        ends = ": at rest." if rested else f"; at rest ({z[0]:.3g}, {z[1]:.3g})."
        assert told.endswith(f"Responses ({one:.3g}, {two:.3g}) at the end, t = {last:.3g}{ends}")


def test_networks():
    digits = ColoredDigits(flip=0.1, first_flip=0.4, second_flip=0.1, test_flip=0.7)
    assert starvation(digits, Adam(output_penalty=1.0, switch=300), None) == (
        "No theory here. The colour alone gives 75 % of the training and 30 % of the test labels, the digit at most "
        "90 % of both. The penalty on outputs counts from step 300 on."
    )
    assert "penalty" not in starvation(digits, Adam(switch=300), None)
    names = ("nonlinearity", "second_share", "shifted_accuracy", "training_accuracy")
    made = {name: (("run", "time"), np.array([[0.0, k / 10], [0.0, k / 10 + 0.02]])) for k, name in enumerate(names, 1)}
    told = starvation(TwoMoons(), MomentumDescent(), xr.Dataset(made, {"time": [1, 70]}))
    assert told == "Linearised networks after 70 epochs: NL = 0.11, GS = 0.21, OOD = 0.31, A = 0.41."
    assert starvation(TwoMoons(dropout=0.5), MomentumDescent(), None).startswith("No theory here: only networks of one")
