"""The explicit iteration: against a plain numpy loop, against the eigenbasis, and where it diverges or is stopped."""

import pickle
import signal
import threading

import numpy as np
import pytest

import simulations.double_descent._simulate as module
from dynamics import DivergenceError, Interrupted
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TeacherStudent
from dynamics.schedules import SoftplusDecay, StepTable
from simulations.double_descent import sample, simulate
from simulations.double_descent._kernels import descend
from tests.double_descent.common import CURVES

EPS = np.finfo(float).eps
WIDE = TeacherStudent(
    samples=13,
    dimension=20,
    variances=[1.0, 0.09, 0.01],
    fractions=[0.5, 0.3, 0.2],
    teacher_power=[0.7, 1.6, 2.5],
    noise=0.4,
)
PROBLEMS = {"n<d": WIDE, "n=d": WIDE.model_copy(update={"samples": 20}), "n>d": WIDE.model_copy(update={"samples": 35})}
EVERY = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
TALL = PROBLEMS["n>d"]


@pytest.mark.parametrize(("n", "d"), [(1, 1), (3, 2), (7, 9), (16, 8), (35, 21)])
def test_kernel_equals_a_plain_loop(n, d):
    """Each step rounds sums of n and of d terms, and no step amplifies: steps (n + d) eps max|w|."""
    rng = np.random.default_rng(n)
    inputs, labels = rng.standard_normal((n, d)) / np.sqrt(n + d), rng.standard_normal(n)
    rates, steps = rng.uniform(0.2, 1.0, d), 60
    step, penalty, l2 = rng.uniform(0.1, 0.3, steps), rng.uniform(0, 0.5, steps), rng.uniform(0, 0.1, steps)
    weights, outputs = np.zeros(d), np.zeros(n)
    found = descend(inputs, inputs.T.copy(), labels, rates, weights, outputs, 1e20, step, penalty, l2)
    w = np.zeros(d)
    for i in range(steps):
        gradient = (1 + penalty[i]) * inputs.T @ (inputs @ w) - inputs.T @ labels + l2[i] * w
        w = w - step[i] * rates * gradient
    assert found == -1
    tolerance = steps * (n + d) * EPS * np.abs(w).max()
    assert np.abs(weights - w).max() < tolerance
    assert np.abs(outputs - inputs @ w).max() < tolerance * np.sqrt(d)


ALGORITHMS = {
    "default step": GradientDescent(),
    "l2": GradientDescent(learning_rate=0.15, l2=0.2),
    "output penalty": GradientDescent(l2=0.05, output_penalty=0.4),
    "schedules": GradientDescent(
        learning_rate=StepTable(steps=[0, 7, 300], values=[0.2, 0.05, 0.3]),
        l2=StepTable(steps=[0, 40], values=[0.3, 0.01]),
        output_penalty=SoftplusDecay(initial=0.6, rate=0.01),
    ),
    "rates": GradientDescent(learning_rate=0.05, output_penalty=0.2, rates=[1.0, 3.0, 8.0]),
    "default step, rates": GradientDescent(rates=[0.5, 2.0, 20.0]),
}


@EVERY
@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_iteration_equals_the_eigenbasis(problem, algorithm):
    """To 1e-10: 10,000 contracting steps round sums of 20 to 35 terms, 1e4 * 55 eps = 1e-10 at the very worst.

    Steps past 4,096 cross the boundary between two calls of the kernel.
    """
    times = [0, 1, 2, 7, 8, 41, 300, 4097, 10_000]
    options = {"runs": 3, "seed": 12, "teachers": 2}
    literal = simulate(problem, algorithm, times, method="literal", **options)
    closed = simulate(problem, algorithm, times, method="eigenbasis", **options)
    for name in (*CURVES, "largest_eigenvalue"):
        assert np.abs(literal[name] - closed[name]).max() < 1e-10, name
    if "learning_rate" in closed:
        assert np.abs(literal.learning_rate - closed.learning_rate).max() < 1e-14
    for name in ("outcome", "diverged_at"):
        assert (literal[name] == closed[name]).all()
    assert literal.attrs["method"] == "literal"


def test_fresh_inputs_are_the_same_for_both_methods():
    options = {"runs": 2, "test_samples": 50}
    literal = simulate(TALL, GradientDescent(), [3, 30], method="literal", **options)
    closed = simulate(TALL, GradientDescent(), [3, 30], **options)
    assert np.abs(literal.generalization_error - closed.generalization_error).max() < 1e-12


def test_bits_do_not_depend_on_workers_subset_or_on_what_else_is_recorded():
    def run(times, **options):
        return simulate(TALL, GradientDescent(), times, method="literal", seed=3, **options)

    alone = run([10, 5000], runs=5, workers=1)
    assert alone.drop_vars("outcome").equals(run([10, 5000], runs=5, workers=2).drop_vars("outcome"))
    part = run([0, 10, 77, 5000], runs=2, first_run=3, workers=2)
    for name in CURVES:
        assert part[name].values[:, [1, 3]].tobytes() == alone[name].values[3:].tobytes()


# --- divergence


def plain_divergence(problem, seed, run, algorithm, last):
    """Iterate in numpy and return the first step after which |Xw - y| > 1e10 |y|, or -1."""
    data = sample(problem, runs=1, first_run=run, seed=seed).isel(run=0)
    x, y = data.inputs.values, data.labels.values
    rates = np.repeat(algorithm.rates or (1.0, 1.0, 1.0), problem.directions())
    w = np.zeros(problem.dimension)
    for i in range(last):
        eta, a, l2 = (
            c if isinstance(c, float) else c.at(np.array([i]))[0]
            for c in (algorithm.learning_rate, algorithm.output_penalty, algorithm.l2)
        )
        w = w - eta * rates * (x.T @ ((1 + a) * (x @ w) - y) + l2 * w)
        if np.abs(x @ w - y).max() > 1e100 or np.linalg.norm(x @ w - y) > 1e10 * np.linalg.norm(y):
            return i + 1
    return -1


UNSTABLE = {
    "step": GradientDescent(learning_rate=1.5),
    "far too large": GradientDescent(learning_rate=1e200),
    "l2": GradientDescent(learning_rate=0.5, l2=2.5),
    "output penalty": GradientDescent(learning_rate=0.5, output_penalty=1.5),
    "rates": GradientDescent(learning_rate=0.3, rates=[1.0, 30.0, 400.0]),
    "schedule": GradientDescent(learning_rate=StepTable(steps=[0, 30], values=[0.1, 1.5])),
    "unstable for a while": GradientDescent(learning_rate=StepTable(steps=[0, 5, 60], values=[0.1, 2.5, 0.1])),
}


@EVERY
@pytest.mark.parametrize("algorithm", UNSTABLE.values(), ids=UNSTABLE)
def test_divergence_is_found_at_its_step(problem, algorithm):
    """Both methods against the plain loop; rounding may move the crossing of the threshold by no more than one step."""
    times = [0, 3, 20, 50, 90, 400, 1000]
    expected = [plain_divergence(problem, 0, r, algorithm, 1000) for r in range(3)]
    assert max(expected) > 0  # the case is one
    marked = {
        method: simulate(problem, algorithm, times, runs=3, method=method, on_divergence="mark")
        for method in ("literal", "eigenbasis")
    }
    for runs in marked.values():
        for r, at in enumerate(expected):
            found = int(runs.diverged_at[r])
            assert abs(found - at) <= 1
            assert (found < 0) == (at < 0)
            assert str(runs.outcome[r].values) == ("finished" if at < 0 else "diverged")
            after = runs.time >= (found if found >= 0 else np.inf)
            for name in CURVES:
                assert (np.isnan(runs[name][r]) == after).all()
        assert "diverged_at" in runs.norm.attrs["missing"]
    literal, closed = (marked[method].isel(time=[0, 1]) for method in ("literal", "eigenbasis"))
    for name in CURVES:  # what comes before divergence is right: it grew by at most 1e10, its rounding with it
        both = np.isfinite(literal[name]) & np.isfinite(closed[name])
        scale = 1.0 + np.abs(closed[name]).where(both, 0.0)
        assert (np.abs(literal[name] - closed[name]).where(both, 0.0) < 1e-9 * scale).all()


@pytest.mark.parametrize("method", ["literal", "eigenbasis"])
def test_divergence_after_many_stable_steps(method):
    """Before step 70,000 nothing happens; the trained student's residual then grows from rounding errors, q = 1.3 - 6.

    From eps to 1e10 takes log(1e26)/log q: 30 to 230 steps, and the closed form has no rounding errors to start from.
    """
    algorithm = GradientDescent(learning_rate=StepTable(steps=[0, 70_000], values=[0.1, 1.5]), l2=1e-3)
    runs = simulate(TALL, algorithm, [70_000, 70_900], runs=2, method=method, on_divergence="mark")
    assert (runs.outcome == "diverged").all()
    assert int(runs.diverged_at.min()) > 70_010
    assert int(runs.diverged_at.max()) < 70_300


def test_average_over_teachers_diverges_too():
    """The average is dominated by the largest mode as a single run is: within a few steps of it."""
    runs = simulate(TALL, UNSTABLE["step"], [0, 1000], runs=3, on_divergence="mark")
    mean = simulate(TALL, UNSTABLE["step"], [0, 1000], runs=3, teacher="averaged", on_divergence="mark")
    assert (mean.outcome == runs.outcome).all()
    assert (np.abs(mean.diverged_at - runs.diverged_at) < 0.2 * runs.diverged_at + 3).all()


@pytest.mark.parametrize("method", ["literal", "eigenbasis"])
def test_divergence_is_an_error_by_default(method):
    algorithm, times = UNSTABLE["step"], [0, 5, 1000]
    marked = simulate(TALL, algorithm, times, runs=4, seed=1, method=method, on_divergence="mark")
    first = int(np.argmax(marked.diverged_at.values > 0))
    largest = float(marked.largest_eigenvalue[first])
    with pytest.raises(DivergenceError, match=f"run {first} diverged at step") as caught:
        simulate(TALL, algorithm, times, runs=4, seed=1, method=method)
    error = caught.value
    assert error.step == int(marked.diverged_at[first])
    assert error.bound.startswith("learning_rate (step size) must be at most 2/((1 + output_penalty) L + l2) = ")
    assert f"= {2 / largest:.6g}, above which" in error.bound
    assert "on_divergence='mark'" in str(error)
    assert error.partial.equals(marked)


@pytest.mark.parametrize("method", ["literal", "eigenbasis"])
def test_stability_is_each_samples_own(method):
    """A step between the bounds of the samples: exactly the runs above their own bound diverge."""
    largest = simulate(TALL, GradientDescent(), [0], runs=12).largest_eigenvalue.values
    middle = np.sort(largest)[5:7].mean()
    algorithm = GradientDescent(learning_rate=2.0 / middle)
    growth = np.abs(1 - 2.0 * largest / middle)
    last = int(np.ceil(np.log(1e13) / np.log(growth[growth > 1].min())))
    runs = simulate(TALL, algorithm, [last], runs=12, on_divergence="mark", method=method)
    assert ((runs.outcome == "diverged") == (largest > middle)).all()
    assert (runs.outcome == "finished").sum() == 6


@pytest.mark.parametrize("method", ["literal", "eigenbasis"])
def test_divergence_after_the_last_time_is_none(method):
    algorithm = UNSTABLE["step"]
    at = int(simulate(TALL, algorithm, [1000], runs=1, method=method, on_divergence="mark").diverged_at[0])
    before = simulate(TALL, algorithm, [0, at - 1], runs=1, method=method)
    assert (before.outcome == "finished").all()
    assert np.isfinite(before.generalization_error).all()
    then = simulate(TALL, algorithm, [0, at], runs=1, method=method, on_divergence="mark")
    assert then.outcome[0] == "diverged"
    assert np.isnan(then.generalization_error[0]).values.tolist() == [False, True]


@pytest.mark.parametrize("method", ["literal", "eigenbasis"])
def test_a_run_diverges_with_its_first_teacher(method):
    """The bound belongs to X, so that all teachers of a run diverge or none; each takes its own number of steps."""
    times, alone = np.arange(0, 3000, 3), GradientDescent(learning_rate=0.56)
    runs = simulate(TALL, alone, times, runs=2, teachers=5, method=method, on_divergence="mark")
    one = simulate(TALL, alone, times, runs=2, method=method, on_divergence="mark")
    assert runs.outcome.dims == runs.diverged_at.dims == ("run",)
    assert (runs.diverged_at <= one.diverged_at).all()
    assert (runs.diverged_at < one.diverged_at).any()
    missing = np.isnan(runs.norm)
    assert (missing == (runs.time >= runs.diverged_at)).all()


def test_a_barely_unstable_step_diverges_late():
    """(1 - eta L)^t = q^t passes 1e10 |y|/|b_1| at log of it over log q; the top mode's share of |y| is below 1."""
    largest = float(simulate(TALL, GradientDescent(), [0], runs=1).largest_eigenvalue[0])
    excess = 1e-9
    algorithm = GradientDescent(learning_rate=(2.0 + excess) / largest)
    runs = simulate(TALL, algorithm, [10**12], runs=1, on_divergence="mark")
    at = int(runs.diverged_at[0])
    assert 10 * np.log(10) / excess < at < 13 * np.log(10) / excess


# --- Ctrl-C


def test_ctrl_c_keeps_the_finished_runs(monkeypatch):
    whole = simulate(TALL, GradientDescent(), [1, 50], runs=6, method="literal")
    real = module._literal

    def interrupted(setting, algorithm, times, run, checkpoint):
        if run == 2:
            raise KeyboardInterrupt
        while run > 2:
            checkpoint()
        return real(setting, algorithm, times, run, checkpoint)

    monkeypatch.setattr(module, "_literal", interrupted)
    with pytest.raises(Interrupted, match="2 of 6 runs were finished and are kept") as stopped:
        simulate(TALL, GradientDescent(), [1, 50], runs=6, method="literal", workers=1)
    runs = pickle.loads(pickle.dumps(stopped.value)).partial
    assert runs.outcome.values.tolist() == ["finished"] * 2 + ["cancelled"] * 4
    assert (runs.diverged_at == -1).all()
    for name in (*CURVES, "learning_rate", "largest_eigenvalue"):
        assert runs[name].values[:2].tobytes() == whole[name].values[:2].tobytes()
        assert np.isnan(runs[name][2:]).all()
    assert "cancelled" in runs.norm.attrs["missing"]


def test_ctrl_c_stops_a_long_run_at_once(monkeypatch):
    """A run of 1e8 steps would take minutes: the iteration looks at the request to stop every few thousand steps."""
    real = module.literal

    def signalled(*arguments):
        timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.start()
        return real(*arguments)

    monkeypatch.setattr(module, "literal", signalled)
    # a process started in the background may have been told to ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as stopped:
            simulate(TALL, GradientDescent(), [10**8], runs=1, method="literal", workers=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.value.partial.outcome.values.tolist() == ["cancelled"]
