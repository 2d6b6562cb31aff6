r"""The network of two moons, linearised at its start and trained in the same way.

To first order in the parameters' move theta from their initial values theta_0, the outputs are f_0(x) + phi(x) . theta.
Momentum descent keeps theta = Phi^T beta + gamma theta_0: beta (one number for each sample) follows from the residuals
on the n training points, and gamma, a single number, from weight decay alone. On the training points

    f = f_0 + K beta + gamma Phi theta_0,   K = Phi Phi^T,   Phi theta_0 = 2 f_0 - o,

the latter because f - o is of second degree in the other parameters, o being the output's bias. This is exact for the
linear model; how far the network is from it is declared as error, and was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytic.gradient_starvation._linearised_kernels import descend_outputs
from dynamics.algorithms import MomentumDescent
from dynamics.classifiers import Sample, Statistics, measure, plane
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import VARIABLES, TwoMoons, check_pair
from dynamics.memory import check_memory
from dynamics.networks import TwoLayer, check_features, gated, linearisation, tangent_features, tangent_modes, turn
from dynamics.parameters import Declared, check_whole
from dynamics.results import answer
from dynamics.stopping import checkpoint
from dynamics.threads import single_threaded
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["linearised"]

Array = NDArray[np.float64]

#: The linear model is unstable when the root of its mean squared output is above this.
_LARGEST = 1e10
#: Products between two looks at whether to stop.
_LOOK = 10**8
#: What a network of 500 units was found to be off by, and by a margin: at all times up to 10^4 epochs, with margins of
#: -0.1 and 0.1, with and without a penalty of 0.003, in each of 25 runs.
_ERRORS = {
    "nonlinearity": 0.05, "second_share": 0.1, "shifted_accuracy": 0.05, "training_accuracy": 0.02,
    "training_loss": 0.015,
}  # fmt: skip
_MARGIN_ERROR = 0.2
_UNITS = 500


def linearised(
    problem: TwoMoons,
    algorithm: MomentumDescent,
    times: ArrayLike,
    data: xr.Dataset,
    *,
    features: int = 8,
    pixels: int = 0,
) -> xr.Dataset:
    """Return what each run's network, linearised at its start, learns when it is trained in the same way.

    Parameters
    ----------
    problem : TwoMoons
        With one hidden layer, no dropout and no normalization.
    algorithm : MomentumDescent
        Weight decay and the penalty on outputs are part of it.
    times : array
        Numbers of completed epochs, whole, increasing, not negative.
    data : Dataset
        What ``simulations.gradient_starvation.sample(problem, runs=...)`` returns.
    features : int
        How many responses to keep, those of the strongest features; there are as many as samples.
    pixels : int
        Outputs on so many by so many points of [-2, 2]^2, before the rotation, after the last epoch; none for 0.

    Returns
    -------
    Dataset
        ``nonlinearity``, ``second_share``, ``shifted_accuracy``, ``training_accuracy``, ``training_loss`` and
        ``mean_margin`` (run, time), see :func:`dynamics.classifiers.measure`; ``response`` z = U^T Y f (run, feature,
        time) and ``strength`` (run, feature) of the features of the tangent kernel, Y Phi = U S V^T; with pixels
        ``output`` f (run, second_coordinate, first_coordinate).

        ``<name>_error`` (time) is how far the network may be from its linearisation: at 500 units 0.05 for
        nonlinearity and shifted accuracy, 0.1 for the second share, 0.02 for the training accuracy, 0.015 for the loss
        and a fifth of the mean margin (run, time). It was measured up to 10^4 epochs, and is taken to change with the
        units as H^(-1/2) (measured from 50 to 1500), and to grow by a factor 1 + w t learning_rate/(1 - momentum) with
        weight decay w, which takes the initial weights away.

    Raises
    ------
    ParameterError
        For input that is not allowed, data of another problem, networks that are not the ones above, and a learning
        rate at which the linear model is unstable.

    Examples
    --------
    >>> from simulations.gradient_starvation import sample
    >>> problem = TwoMoons(margin=0.1, hidden_units=200)
    >>> data = sample(problem, runs=2)
    >>> free, penalised = (linearised(problem, MomentumDescent(output_penalty=c), [3000], data) for c in (0.0, 0.003))
    >>> bool((penalised.nonlinearity > 3 * free.nonlinearity).all())
    True
    """
    check_pair(problem, algorithm)
    _check(problem, algorithm)
    if getattr(data, "attrs", {}).get("problem") != problem.to_json():
        raise ParameterError(f"data must be drawn for this problem; got {getattr(data, 'attrs', {}).get('problem')}")
    when = check_times(times, algorithm).astype(np.int64)
    features = check_features(features, problem.samples, problem.hidden_units)
    pixels = check_whole("pixels", pixels, at_least=0)
    numbers = 4 * data.sizes["run"] * pixels**2 + 3 * problem.samples**2 + 10 * problem.samples * problem.hidden_units
    check_memory(numbers, "samples, hidden_units or pixels must be smaller")
    axis, points = plane(pixels)
    with single_threaded():
        paths = [_path(problem, algorithm, *one, when, features, points) for one in _runs(data)]
    statistics, responses, strengths, outputs = (np.stack(part) for part in zip(*paths, strict=True))
    variables: dict[str, Any] = {
        name: (("run", "time"), statistics[..., place]) for place, name in enumerate(Statistics._fields)
    }
    variables |= _errors(problem, algorithm, when, statistics[..., Statistics._fields.index("mean_margin")])
    variables["response"] = (("run", "feature", "time"), responses.transpose(0, 2, 1))
    variables["strength"] = (("run", "feature"), strengths)
    coordinates = {"run": data["run"].values, "feature": np.arange(1, features + 1), "time": when}
    if pixels:
        maps = outputs.reshape(-1, pixels, pixels)
        variables["output"] = (("run", "second_coordinate", "first_coordinate"), maps)
        coordinates |= {"first_coordinate": axis, "second_coordinate": axis}
    return answer(
        problem, algorithm, variables, coordinates, kind="theory", method="linearised", seed=data.attrs.get("seed"),
        names=VARIABLES,
    )  # fmt: skip


def _check(problem: TwoMoons, algorithm: Declared) -> None:
    """Refuse networks and algorithms that have no linearisation here."""
    if not isinstance(problem, TwoMoons):
        raise ParameterError(f"problem must be TwoMoons for method 'linearised'; got {type(problem).__name__}")
    for name, only in (("hidden_layers", 1), ("dropout", 0.0), ("normalization", "none")):
        if getattr(problem, name) != only:
            raise problem.refused(name, f"must be {only} for method 'linearised'", getattr(problem, name))
    if not isinstance(algorithm, MomentumDescent):
        raise ParameterError(
            f"algorithm must be MomentumDescent for method 'linearised'; got {algorithm.label}, whose steps depend on "
            "each parameter's own gradient"
        )


def _runs(data: xr.Dataset) -> Iterator[tuple[TwoLayer, Sample]]:
    labels, shifted = data["labels"].values, data["shifted_labels"].values
    for run in range(data.sizes["run"]):
        one = data.isel(run=run)
        network = TwoLayer(one["initial_weights"].values, float(one["initial_bias"]))
        yield network, Sample(one["inputs"].values, labels, one["shifted_inputs"].values, shifted)


def _errors(problem: TwoMoons, algorithm: MomentumDescent, times: NDArray[np.int64], margins: Array) -> dict[str, Any]:
    """Return what the network may be off by, see :func:`linearised`."""
    clock = algorithm.learning_rate / (1.0 - algorithm.momentum) * times
    growth = np.sqrt(_UNITS / problem.hidden_units) * (1.0 + algorithm.weight_decay * clock)
    errors: dict[str, Any] = {f"{name}_error": (("time",), error * growth) for name, error in _ERRORS.items()}
    return errors | {"mean_margin_error": (("run", "time"), _MARGIN_ERROR * growth * np.abs(margins))}


def _path(
    problem: TwoMoons, algorithm: MomentumDescent, network: TwoLayer, sample: Sample, times: NDArray[np.int64],
    features: int, points: Array,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Return statistics (T, 6), responses (T, features), strengths, and the last outputs at the points, of one run."""
    rotation = turn(problem.rotation)
    model = _Model(network, sample, rotation, algorithm)
    strengths, presence = tangent_modes(model.features, sample.labels)
    statistics, responses = [], []
    for epochs in np.diff(times, prepend=0).tolist():
        if not model.advance(epochs):
            raise algorithm.refused(
                "learning_rate", "must be smaller: the linearised network is unstable", algorithm.learning_rate
            )
        function = linearisation(network, model.moved(), rotation)
        statistics.append(measure(function.values, function.gradient, sample))
        responses.append((sample.labels * model.outputs) @ presence[:, :features])
    return np.array(statistics), np.array(responses), strengths[:features], function.values(points)


class _Model:
    """The linear model of one run in training."""

    def __init__(self, network: TwoLayer, sample: Sample, rotation: Array, algorithm: MomentumDescent) -> None:
        self._network, self._rotation, self._labels = network, rotation, sample.labels
        self.features = tangent_features(network, sample.inputs @ rotation.T)
        n = sample.labels.size
        self._tangent = np.zeros((-(-n // 4) * 4, n))
        self._tangent[:n] = self.features @ self.features.T
        self._start = gated(network, rotation).values(sample.inputs)
        self._along = 2.0 * self._start - network.bias
        self._beta, self._velocity = np.zeros((2, n))
        self._gamma = np.zeros(2)
        self._outputs = np.zeros(self._tangent.shape[0])
        self._outputs[:n] = self._start
        self._numbers = (
            algorithm.learning_rate, algorithm.momentum, algorithm.weight_decay, 2.0 * algorithm.output_penalty,
            _LARGEST**2 * n,
        )  # fmt: skip

    def advance(self, epochs: int) -> bool:
        """Take so many epochs and say whether the outputs stayed finite; now and then it can be stopped."""
        piece = max(1, _LOOK // self._tangent.size)
        for done in range(0, epochs, piece):
            checkpoint()
            at = descend_outputs(
                self._tangent, self._start, self._along, self._labels, self._beta, self._velocity, self._gamma,
                self._outputs, min(piece, epochs - done), *self._numbers,
            )  # fmt: skip
            if at >= 0:
                return False
        return True

    @property
    def outputs(self) -> Array:
        """Outputs at the training points."""
        return self._outputs[: self._labels.size].copy()

    def moved(self) -> TwoLayer:
        """Return theta = Phi^T beta + gamma theta_0."""
        flat, gamma, start = self.features.T @ self._beta, self._gamma[0], self._network
        return TwoLayer(flat[:-1].reshape(4, -1) + gamma * start.units, float(flat[-1] + gamma * start.bias))
