"""Benchmarks: each module here has a TITLE and a run() that returns its section of docs/benchmarks.md.

Figures stand beside a peer or a floor that was measured in the same run; nothing here is an assertion.
"""
