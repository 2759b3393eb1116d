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


LONG = 100
"""Parts of a template beyond which Python's stack may not suffice."""

SHOWN_WHOLE = Action("", [])


def goes_through_once(steps: Steps) -> bool:
    """Whether one action alone looks into the document, and takes its items from the first to the last."""
    looks = _looks(steps)
    outer = [action for action, is_outer in looks or () if is_outer]
    return looks is not None and len(outer) <= 1 and all(each == SHOWN_WHOLE or _takes_each(each) for each in outer)


def can_fail(steps: Steps, of_list: bool) -> bool:
    """Whether there are documents, lists or no lists, that the template does not fit."""
    looks = _looks(steps)
    if looks is None or sum(1 + len(action.path) for action, _ in looks) > LONG:
        return True
    return not all(
        _fits_all(node)
        for action, is_outer in looks
        for node in action.path[of_list and is_outer and _fits_lists(action) :]
    )


def _looks(steps: Steps) -> list[tuple[Action, bool]] | None:
    """The actions that have a path, and whether it starts at the document; None where a range or end has no other."""
    found, depth = [], 0
    for step in steps:
        if not isinstance(step, Action):
            continue
        if step.word != "end":
            found.append((step, depth == 0))
        depth += {"range": 1, "end": -1}.get(step.word, 0)
        if depth < 0:
            return None
    return None if depth else found


def _takes_each(action: Action) -> bool:
    match action.path:
        case [Wildcard() | Filter(), *rest]:
            pass
        case [Slice() as first, *rest] if first.is_whole:
            pass
        case _:
            return False
    return not any(isinstance(node, (Union, Recursive)) for node in rest)


def _fits_lists(action: Action) -> bool:
    """Whether the path starts with what fits every list, though not everything that is none."""
    match action.path:
        case [Slice() as first, *_]:
            return first.is_whole
        case [Filter() as first, *_]:
            return not first.operator
    return False


def _fits_all(node: Node) -> bool:
    if isinstance(node, Union):
        return all(_fits_all(each) for branch in node.branches for each in branch)
    return isinstance(node, PLAIN)
