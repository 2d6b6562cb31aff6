"""What is refused, and in which words; what is read; what the declarations say."""

import math

import annotated_types
import numpy as np
import pytest
from pydantic import ValidationError

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import ALGORITHMS, PROBLEMS, PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.errors import ParameterError, shown
from dynamics.parameters import declarations
from dynamics.schedules import SoftplusDecay, StepTable

CLASSES = (*PROBLEMS, *ALGORITHMS, SoftplusDecay, StepTable)
EVERY = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
ENDLESS = [1.0]
ENDLESS.append(ENDLESS)
#: (In names of tests they are cut before an address in memory, which differs between processes.)
#: Never a number, whatever the parameter.
NONSENSE = [True, np.True_, False, math.nan, math.inf, -math.inf, "true", "NaN", "abc", {}, {"a": 1}, 1j, [[1, 2]],
            np.array([1 + 1j]), "1 000", "3\nx", "[1", object(), 10**400, {1, 2}, np.array([True]), [np.True_],
            memoryview(b"ab"), b"x", "\ud800", range(3), np.datetime64("2020"), np.longdouble("nan"), 10**5000,
            "1" * 5000, "[" * 5000, "", ENDLESS]  # fmt: skip
#: One parameter of each kind: whole, real, list, list or none, coefficient.
KINDS = [
    (TwoScale, "samples"), (TwoScale, "noise"), (TeacherStudent, "variances"), (TeacherStudent, "fractions"),
    (GradientFlow, "rates"), (GradientFlow, "l2"), (GradientDescent, "learning_rate"),
    (GradientDescent, "output_penalty"), (SoftplusDecay, "rate"), (StepTable, "values"),
]  # fmt: skip
OF_EACH_KIND = pytest.mark.parametrize(("cls", "name"), KINDS, ids=lambda item: getattr(item, "__name__", item))


def refusal(cls, **values):
    """The message of the refusal."""
    with pytest.raises(ParameterError) as caught:
        cls(**values)
    return str(caught.value)


@OF_EACH_KIND
@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: shown(value).encode("ascii", "replace")[:14])
def test_nonsense_is_refused_in_one_line_that_says_all(cls, name, value):
    """The line is: name (meaning) must ...; got ..."""
    message = refusal(cls, **{name: value})
    start = f"{name} ({declarations(cls)[name].meaning})"
    assert message.startswith(start)
    assert message.count(start) == 1
    assert "\n" not in message
    rest = message.removeprefix(start).removeprefix(":")
    allowed, _, came = rest.partition("; got ")
    assert allowed.startswith(" must ")
    assert came
    assert "Input" not in message
    assert "instance" not in allowed
    assert "valid" not in allowed
    assert len(came) < 200
    if not isinstance(value, (str, np.generic, np.ndarray, set)) and value != {}:
        assert (
            shown(value) in came
            or came == "[1, 2] at index 0"
            or (isinstance(value, list) and came.endswith("at index 1"))
        )


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (TwoScale, {"samples": 3.5}, "samples (number of training samples) must be a whole number; got 3.5"),
        (TwoScale, {"samples": None}, "samples (number of training samples) must be a whole number; got None"),
        (TwoScale, {"samples": 0}, "samples (number of training samples) must be at least 1; got 0"),
        (
            TwoScale,
            {"samples": 10**20},
            "samples (number of training samples) must be at most 9007199254740992; got 100000000000000000000",
        ),
        (TwoScale, {"noise": [1]}, "noise (standard deviation of the label noise) must be a number; got [1]"),
        (TwoScale, {"noise": -0.5}, "noise (standard deviation of the label noise) must be at least 0; got -0.5"),
        (
            GradientFlow,
            {"l2": 1e51},
            "l2 (L2 penalty on the weights) must be at most 1e+50; got 1e+51",
        ),
        (SoftplusDecay, {"rate": 0}, "rate (decay rate per step) must be above 0; got 0"),
        (
            TeacherStudent,
            {"variances": [1, "a", 3]},
            "variances (variance of the features in each block, above 0) must be a number; got 'a' at index 1",
        ),
        (
            TeacherStudent,
            {"variances": b"3"},
            "variances (variance of the features in each block, above 0) must be a list of numbers; got b'3'",
        ),
        (
            TwoScale,
            {"dimension": 10, "fast": 11},
            "fast (number of fast feature directions) must be at most dimension = 10; got 11",
        ),
        (
            TwoScale,
            {"dimension": 10},
            "fast (number of fast feature directions) must be at most dimension = 10; got 60, its default: "
            "give fast too",
        ),
        (TwoScale, {"condition_number": 0.5}, "condition_number (ratio of the singular values of fast and slow "
         "features) must be at least 1; got 0.5"),
        (TwoScale, {"condition_number": 1e51}, "condition_number (ratio of the singular values of fast and slow "
         "features) must be at most 1e+12; got 1e+51"),
        (GradientFlow, {"rates": [0.5, 0]}, "rates (relative learning rate of each block, all above 0; "
         "none means 1) must be at least 1e-50; got 0 at index 1"),
        (GradientDescent, {"l2": math.nan}, "l2 (L2 penalty on the weights) must be a finite number; got nan"),
        (GradientDescent, {"l2": -1}, "l2 (L2 penalty on the weights) must be at least 0; got -1"),
        (
            GradientDescent,
            {"l2": "foo:1"},
            "l2 (L2 penalty on the weights) must be a number or one of the schedules softplus-decay, step-table, "
            "power, hyperbolic, running-mean; got 'foo:1'",
        ),
        (
            GradientDescent,
            {"l2": None},
            "l2 (L2 penalty on the weights) must be a number or one of the schedules softplus-decay, step-table, "
            "power, hyperbolic, running-mean; got None",
        ),
        (
            GradientDescent,
            {"l2": "softplus-decay:-1"},
            "l2 (L2 penalty on the weights): initial (value at step 0) must be at least 0; got -1",
        ),
    ],
)  # fmt: skip
def test_the_words(cls, values, message):
    assert refusal(cls, **values) == message


def test_each_bad_parameter_is_named_once():
    message = refusal(TwoScale, samples=-1, noise="abc", nois=3)
    parts = message.split("; ")
    assert [part.split(" ")[0] for part in parts] == ["samples", "got", "noise", "got", "nois", "its"]
    message = refusal(TeacherStudent, variances=[1, None, math.nan])
    assert [message.count(word) for word in ("index 0", "index 1", "index 2")] == [0, 1, 1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fractions": [0.5, 0.6]}, ("fractions", "sum to 1", "1.1")),
        ({"fractions": [1.0]}, ("fractions", "one value per block, 2", "got (1.0,)")),
        ({"fractions": [1.5, -0.5]}, ("fractions", "at least 0", "-0.5 at index 1")),
        ({"teacher_power": [1, -2]}, ("teacher_power", "at least 0", "-2 at index 1")),
        ({"teacher_power": [1, 2, 3]}, ("teacher_power", "one value per block, 2", "got (1.0, 2.0, 3.0)")),
        ({"variances": [1, -0.25]}, ("variances", "at least 1e-50", "-0.25 at index 1")),
        ({"variances": []}, ("variances", "must be a list of numbers", "[]")),
        ({"variances": [0, 1]}, ("variances", "at least 1e-50", "0 at index 0")),
        ({"variances": [1e50, 1e51]}, ("variances", "at most 1e+50", "1e+51 at index 1")),
    ],
)
def test_blocks_that_do_not_fit(values, words):
    message = refusal(TeacherStudent, **values)
    assert all(word in message for word in words)
    assert message.startswith(f"{words[0]} ({declarations(TeacherStudent)[words[0]].meaning}) must ")
    assert message.count(words[0]) == 1


@pytest.mark.parametrize(
    "value",
    [7, 7.0, "7", "7.", "0.7e1", " 7 ", "+7", np.int8(7), np.float32(7), np.longdouble(7), np.array(7), np.array(7.0),
     np.str_("7")],
)  # fmt: skip
def test_whole_numbers_are_read_from_all_forms(value):
    read = TwoScale(samples=value).samples
    assert read == 7
    assert type(read) is int


def test_text_and_arrays_are_read():
    assert TwoScale(samples="1e3", noise="1e-3").samples == 1000
    expected = (2.0, 0.25)
    forms = ("2,0.25", "2, .25", "[2, 0.25]", ["2", "0.25"], ["2", 0.25], [2, 0.25], (2, 0.25), np.array([2, 0.25]),
             np.array(["2", ".25"]), np.array([2, 0.25], dtype=object), [np.longdouble(2), np.float16(0.25)],
             np.str_("2,0.25"))  # fmt: skip
    for form in forms:
        assert TeacherStudent(variances=form).variances == expected
    for form in (2, "2", np.float64(2), [2], np.array(2.0), np.longdouble(2)):
        read = TeacherStudent(variances=form).variances
        assert read == (2.0,)
        assert type(read[0]) is float
    assert GradientDescent(learning_rate="null").learning_rate is None
    assert GradientDescent(learning_rate=None).learning_rate is None


@EVERY
def test_unknown_names_are_refused_with_the_nearest(cls):
    for name in declarations(cls):
        wrong = name + "z"
        message = refusal(cls, **{wrong: 1})
        assert message.startswith(f"{wrong} is not a parameter of {cls.__name__}; its parameters are ")
        assert all(other in message for other in declarations(cls))
        assert message.endswith(f"(did you mean {name}?)")
    assert "did you mean" not in refusal(cls, qqqqqqqq=1)


def test_a_parameter_may_have_any_name():
    """``self`` too: it must not collide with the constructor's own."""
    assert refusal(TwoScale, self=1).startswith("self is not a parameter of TwoScale")


@EVERY
def test_frozen_hashable_and_keyword_only(cls):
    one, other = cls(), cls()
    assert one == other
    assert hash(one) == hash(other)
    name = next(iter(declarations(cls)))
    before = getattr(one, name)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(one, name, before)
    with pytest.raises(TypeError, match="positional"):
        cls(before)


@EVERY
def test_defaults_satisfy_their_own_checks(cls):
    """Given in full, the defaults are read as they are: pydantic does not validate a default that is left out."""
    defaults = {name: declared.default for name, declared in declarations(cls).items()}
    made = cls(**defaults)
    assert made == cls()
    for name, value in defaults.items():
        assert getattr(made, name) == value
        assert type(getattr(made, name)) is type(value)


@EVERY
def test_declarations_are_complete(cls):
    found = declarations(cls)
    assert list(found) == list(cls.model_fields)
    assert declarations(cls()) == found
    symbols = [declared.symbol for declared in found.values()]
    assert len(set(symbols)) == len(symbols)
    for name, declared in found.items():
        assert declared.name == name
        assert declared.symbol.strip()
        assert "$" not in declared.symbol
        assert declared.meaning.strip()
        assert "\n" not in declared.meaning
        assert declared.scale in {"linear", "log"}


@EVERY
def test_explored_ranges_are_allowed(cls):
    for name, declared in declarations(cls).items():
        if declared.explore is None:
            assert "Sequence" in str(cls.model_fields[name].annotation)  # a list has no range
            continue
        low, high = declared.explore
        assert 0 <= low < high < math.inf
        for bound in cls.model_fields[name].metadata:
            if isinstance(bound, annotated_types.Gt):
                assert low > bound.gt
            if isinstance(bound, annotated_types.Ge):
                assert low >= bound.ge
            if isinstance(bound, annotated_types.Le):
                assert high <= bound.le
        others = {"dimension": 1000} if name == "fast" else {"fast": 1} if cls is TwoScale else {}
        for value in (low, high):
            assert getattr(cls(**{name: value} | others), name) == value
        if isinstance(declared.default, (int, float)):
            assert low <= declared.default <= high


def test_labels():
    names = [cls.label for cls in CLASSES]
    assert names == [
        "two-scale", "teacher-student", "power-law-teacher-student", "gradient-flow", "gradient-descent",
        "softplus-decay", "step-table",
    ]  # fmt: skip
    assert type("SGDMomentum", (GradientFlow,), {"__module__": __name__}).label == "sgd-momentum"


def test_power_law_exponents_have_a_lower_bound():
    for name in ("variance_exponent", "teacher_exponent"):
        assert "must be at least 0; got -0.1" in refusal(PowerLawTeacherStudent, **{name: -0.1})


@pytest.mark.parametrize(("dimension", "most"), [(1, 166), (10, 50), (1000, 50 / 3), (10**5, 10)])
def test_power_law_variances_stay_above_1e_50(dimension, most):
    """d^-a >= 1e-50 up to the rounding of a = 50 / log10(d), 50 log(10) eps; at d = 1 the bound of d = 2 holds."""
    problem = PowerLawTeacherStudent(dimension=dimension, variance_exponent=most)
    assert problem.blocks.variance[-1] >= 1e-50 * (1 - 1e-13)
    message = refusal(PowerLawTeacherStudent, dimension=dimension, variance_exponent=most + 1)
    assert message.startswith("variance_exponent (decay exponent of the feature variances) must be at most ")
    assert f"at dimension = {dimension}" in message
    assert message.endswith(f"got {most + 1!r}" if isinstance(most, float) else f"got {most + 1}.0")


def test_a_power_law_of_too_many_directions_is_refused_at_once():
    assert "dimension (number of feature directions) must be at most 100000" in refusal(
        PowerLawTeacherStudent, dimension=10**5 + 1
    )
