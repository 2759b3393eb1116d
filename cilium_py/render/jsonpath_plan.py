"""What is known of a template before it meets a list: how often it goes through it, and whether it can go wrong."""

from __future__ import annotations

from cilium_py.render.jsonpath_parse import (
    Action,
    Constant,
    Field,
    Filter,
    Node,
    Quoted,
    Recursive,
    Slice,
    Steps,
    Union,
    Wildcard,
)

PLAIN = (Field, Wildcard, Recursive, Quoted, Constant)
"""What makes something, or nothing, of any value."""


def goes_through_once(steps: Steps) -> bool:
    """Whether one action alone looks into the document, and takes its items from the first to the last."""
    looks = _outside_ranges(steps)
    return looks is not None and len(looks) <= 1 and all(map(_takes_each, looks))


def can_fail(steps: Steps, of_list: bool) -> bool:
    """Whether there are documents, lists or no lists, that the template does not fit."""
    outside = _outside_ranges(steps)
    if outside is None:
        return True
    for action in steps:
        if isinstance(action, Action) and action.word != "end":
            at_list = of_list and any(action is other for other in outside) and _takes_each(action)
            if not all(map(_fits_all, action.path[at_list:])):
                return True
    return False


def _outside_ranges(steps: Steps) -> list[Action] | None:
    """The actions whose path starts at the document; None where ranges and ends are not in pairs."""
    found, depth = [], 0
    for action in steps:
        if not isinstance(action, Action):
            continue
        if action.word == "end":
            depth -= 1
            if depth < 0:
                return None
            continue
        if depth == 0:
            found.append(action)
        depth += action.word == "range"
    return None if depth else found


def _takes_each(action: Action) -> bool:
    match action.path:
        case [Wildcard() | Slice(None, None, None) | Filter(_, "", _), *rest]:
            pass
        case [Filter(), *rest]:
            pass
        case _:
            return False
    return not any(isinstance(node, (Union, Recursive)) for node in rest)


def _fits_all(node: Node) -> bool:
    if isinstance(node, Union):
        return all(_fits_all(each) for branch in node.branches for each in branch)
    return isinstance(node, PLAIN)
