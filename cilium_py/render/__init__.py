"""Rows to bytes: text, table, json, jsonl, yaml, csv, jsonpath.

A row is a NamedTuple; its field names are the JSON contract. Rows and formats never meet: a command yields rows, one
function here writes them.
"""

from cilium_py.render.output import FORMATS, Output
from cilium_py.render.write import write, write_value

__all__ = ["FORMATS", "Output", "write", "write_value"]
