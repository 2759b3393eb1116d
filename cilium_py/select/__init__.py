"""One language for selecting rows: what a user asks for, as data, and two ways to look for it.

A selection is a tree of conditions on fields (tree), made of options or of an expression (options, expression). It is
tried on rows (rows), or beforehand on whole batches of undecoded entries (octets), with the same result.
"""
