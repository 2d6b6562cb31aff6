"""What theory says: one module per phenomenon, each with ``solve(problem, algorithm, times, method=...)``."""
