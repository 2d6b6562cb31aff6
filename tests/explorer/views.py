"""Small views of every kind, quickly answered, and what waits for a condition."""

import time
from dataclasses import replace

from dynamics.algorithms import (
    SGD,
    Adam,
    DanaDecaying,
    GeneralMomentum,
    GradientDescent,
    GradientFlow,
    MomentumDescent,
    PrimalDescent,
)
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.gradient_starvation import ColoredDigits, CoupledFeatures, TwoMoons, TwoSamples
from dynamics.parameters import declarations
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from dynamics.schedules import SoftplusDecay
from figures.asking import Ensemble
from figures.explored import Explored, FlowTimes, StepTimes, begin
from figures.phenomena import phenomena, phenomenon
from simulations.double_descent import TeacherDraws
from simulations.gradient_starvation import Precision

FLOW, STEPS = FlowTimes(count=12), StepTimes(last=40, count=8)
SCALES = TwoScale(samples=30, dimension=20, fast=12, noise=0.2)
FEATURES = PowerLawRandomFeatures(dimension=20, noise=0.1)
MOONS = TwoMoons(samples=20, hidden_units=7)


def view(name, problem, algorithm, *, runs=5, seed=3, **choices):
    times = STEPS if algorithm.discrete else FLOW
    return begin(name, problem, algorithm, **({"ensemble": Ensemble(runs=runs, seed=seed), "times": times} | choices))


def double(problem=SCALES, algorithm=None, **choices):
    return view("double-descent", problem, algorithm or GradientFlow(), **({"options": TeacherDraws()} | choices))


def scaling(problem=FEATURES, algorithm=None, **choices):
    return view("scaling-laws", problem, algorithm or SGD(batch_size=4), **choices)


def starvation(problem=None, algorithm=None, **choices):
    choices = {"options": Precision()} | choices
    return view("gradient-starvation", problem or TwoSamples(), algorithm or PrimalDescent(), **choices)


def moons(**choices):
    return starvation(MOONS, MomentumDescent(), **({"method": "linearised"} | choices))


#: By name: a view of each phenomenon, method of theory and of simulation, and kind of option.
VIEWS = {
    "flow": double(method="exact"),
    "next order": double(method="next_order"),
    "finite": double(method="finite"),
    "finite, own steps": double(SCALES, GradientDescent(), method="finite"),
    "published": double(method="published"),
    "published, corrected": double(SCALES, GradientDescent(), method="published_corrected"),
    "descent": double(SCALES, GradientDescent(l2=0.01), method="exact"),
    "literal": double(SCALES, GradientDescent(), method="exact", simulation="literal"),
    "schedule": double(SCALES, GradientDescent(output_penalty=SoftplusDecay(initial=0.6, rate=0.05)), method="exact"),
    "averaged": double(method="exact", options=TeacherDraws(teacher="averaged")),
    "teachers": double(method="exact", options=TeacherDraws(teachers=3, test_samples=11)),
    "three scales": double(
        TeacherStudent(samples=30, dimension=20, variances=(1.0, 0.1, 1e-3), fractions=(0.5, 0.3, 0.2)),
        GradientFlow(rates=(1.0, 2.0, 0.3)), method="exact",
    ),
    "equivalent": scaling(method="deterministic_equivalent"),
    "recursion": scaling(method="recursion"),
    "recursion, literal": scaling(method="recursion", simulation="literal"),
    "flow of steps": scaling(PowerLawSpectrum(dimension=30, floor=1e-4), SGD(learning_rate=0.3), method="flow"),
    "simplified": scaling(PowerLawSpectrum(dimension=30), SGD(learning_rate=0.3), method="flow_simplified"),
    "spectrum": scaling(
        Spectrum(eigenvalues=(1.0, 0.25, 1 / 3), initial_error=(1.0, 2.0, 0.1)), method="recursion",
        simulation="grouped",
    ),
    "grouped": scaling(
        PowerLawRandomFeatures(dimension=5000), DanaDecaying(batch_size=16), method="deterministic_equivalent",
        simulation="grouped", times=StepTimes(last=20, count=5),
    ),
    "coefficients": scaling(
        FEATURES, GeneralMomentum(learning_rate=0.1, momentum_rate="power:0.01,-0.5", decay="hyperbolic:5"),
        method="recursion",
    ),
    "responses": starvation(),
    "coupled": starvation(CoupledFeatures.from_features([[3.0, 0.1], [0.2, 2.0], [1.0, 1.0]], labels=[1, -1, 1])),
    "moons": moons(),
    "moons, double": moons(options=Precision(precision="double")),
    "moons, no theory": starvation(MOONS, Adam(), method="linearised"),
    "digits": starvation(ColoredDigits(hidden_units=16), Adam(), runs=2, times=StepTimes(last=3, count=3)),
}  # fmt: skip
#: Of these theory says nothing.
REFUSED = ("moons, no theory", "digits")

#: Stable in the limit, and so in most runs: the first one that diverges is run 21.
DIVERGING = double(
    SCALES, GradientDescent(learning_rate=0.5), runs=40, times=StepTimes(last=400, count=9), method="exact"
)


def with_runs(shown, runs):
    return replace(
        shown, question=replace(shown.question, ensemble=shown.question.ensemble.model_copy(update={"runs": runs}))
    )


def presets():
    """All views that the phenomena themselves offer."""
    for name in phenomena():
        said = Explored.of(phenomenon(name))
        yield from said.starts
        for preset in said.presets:
            yield from (preset.shown, *preset.kept)


def pairs():
    """Every problem that a page can begin with, with every algorithm that fits it."""
    from figures.explorer.form import Form

    for name in phenomena():
        form = Form(begin(name))
        for problem in form.options("problem"):
            form.choose("problem", problem)
            yield from ((name, problem, algorithm) for algorithm in form.options("algorithm"))


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("did not come true in time")
        time.sleep(0.002)


def classes():
    """All classes whose parameters a page can show."""
    found = [FlowTimes, StepTimes, Ensemble]
    for chosen in map(phenomenon, phenomena()):
        found += [*chosen.dynamics.PROBLEMS, *chosen.dynamics.ALGORITHMS]
        found += [chosen.simulations.OPTIONS] if hasattr(chosen.simulations, "OPTIONS") else []
    return tuple(dict.fromkeys(found))


CLASSES = classes()
#: All parameters, with their classes.
PARAMETERS = [(cls, name) for cls in CLASSES for name in declarations(cls)]


def filled(shown):
    """A view with its methods filled in, as a form reads it."""
    asked = shown.question
    return replace(shown, question=replace(asked, method=asked.theory_method, simulation=asked.simulation_method))
