"""A node that is not there: what was asked of it while it lived, and what can be told from what others wrote of it."""
