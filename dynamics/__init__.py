"""What is trained and what trains it: problems, algorithms and the form of every answer.

A *problem* says what is learned, an *algorithm* how; neither says how the outcome is computed. That is done by
``analytic`` (theory) and ``simulations``, which both return the datasets that :mod:`dynamics.results` makes.
"""

from dynamics.errors import DivergenceError, Interrupted, ParameterError

__all__ = ["DivergenceError", "Interrupted", "ParameterError", "__version__"]

__version__ = "0.1.0"
