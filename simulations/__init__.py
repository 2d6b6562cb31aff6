"""What happens: one module per phenomenon, each with ``simulate(problem, algorithm, times, runs=..., seed=...)``."""
