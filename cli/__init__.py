"""The click commands, and nothing else."""
