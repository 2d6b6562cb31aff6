"""What trains: each algorithm with the coefficients that a user may turn."""

from dynamics.algorithms._base import Algorithm
from dynamics.algorithms._gradient import GradientDescent, GradientFlow
from dynamics.algorithms._margins import (
    Adam,
    DualDescent,
    DualFlow,
    MomentumDescent,
    PrimalDescent,
    PrimalFlow,
)
from dynamics.algorithms._momentum import (
    SGD,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    HeavyBall,
    Nesterov,
    OneRate,
    ScheduleFree,
    SGDMomentum,
    StochasticAlgorithm,
)
from dynamics.algorithms._rule import Rule

__all__ = [
    "SGD",
    "Adam",
    "Algorithm",
    "DanaConstant",
    "DanaDecaying",
    "DualDescent",
    "DualFlow",
    "GeneralMomentum",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "MomentumDescent",
    "Nesterov",
    "OneRate",
    "PrimalDescent",
    "PrimalFlow",
    "Rule",
    "SGDMomentum",
    "ScheduleFree",
    "StochasticAlgorithm",
]
