"""The training loop: budgets, processes, logs, checkpoints, interruption; it knows no method's details."""
