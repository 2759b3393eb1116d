"""Conditions on durations -> conditions on the times in a row, for one moment.

`idle > 5m` is true where every time of the last packet lies more than five minutes back. So selecting by time needs
no arithmetic for each entry, and entries that are not decoded can be selected by it.
"""

from __future__ import annotations

from cilium_py.schema.derived import Left, Since, Ticks
from cilium_py.select.fields import Field, Fields
from cilium_py.select.moment import Moment
from cilium_py.select.tree import And, Compare, Node, Not, Operator, Or, all_of, any_of

MIRRORED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def at_moment(node: Node, fields: Fields, moment: Moment) -> Node:
    """The same selection without durations."""
    match node:
        case And(terms):
            return And(tuple(at_moment(term, fields, moment) for term in terms))
        case Or(terms):
            return Or(tuple(at_moment(term, fields, moment) for term in terms))
        case Not(term):
            return Not(at_moment(term, fields, moment))
        case Compare(Field(derived=Left(of=name, ticks=ticks)), operator, value) if isinstance(value, (int, float)):
            return _time(fields[name], operator, moment.now(ticks) + value, ticks, moment)
        case Compare(Field(derived=Since(of=names, ticks=ticks)), operator, value) if isinstance(value, (int, float)):
            limit = moment.now(ticks) - value
            # The latest time is what counts: it is before a limit if all are, and after it if any is.
            if operator == "==":
                longer = at_moment(Compare(node.field, ">=", value), fields, moment)
                shorter = at_moment(Compare(node.field, "<=", value), fields, moment)
                return all_of(longer, shorter)
            each = [_time(fields[name], MIRRORED[operator], limit, ticks, moment) for name in names]
            return all_of(*each) if operator in (">", ">=") else any_of(*each)
    return node


def _time(field: Field, operator: Operator, second: float, ticks: Ticks, moment: Moment) -> Node:
    """A time in a row against a second, whole seconds being compared."""
    first = moment.first(ticks, second)
    after = moment.first(ticks, second + 1) if second == int(second) else first
    match operator:
        case "<":
            return Compare(field, "<", first)
        case ">=":
            return Compare(field, ">=", first)
        case "<=":
            return Compare(field, "<", after)
        case ">":
            return Compare(field, ">=", after)
        case "==":
            return all_of(Compare(field, ">=", first), Compare(field, "<", after))
