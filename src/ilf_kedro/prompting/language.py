"""What a prompt's template may hold: fields, conditions, loops over a conversation's turns and a few filters.

A template is a person's own, but it runs in the middle of a run: what could reach out of it, or never end, is
refused when its file is read.
"""

from __future__ import annotations

from jinja2 import nodes

__all__ = ["FILTERS", "language_faults"]

FILTERS = ("capitalize", "default", "first", "join", "last", "length", "lower", "title", "trim", "upper")

_TEXT = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter, nodes.Concat)
_CHOICES = (nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test)
_TURNS = (nodes.For, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Neg)
_ALLOWED = (*_TEXT, *_CHOICES, *_TURNS)

_ATTRIBUTES = ("turns", "role", "content")
_OF_LOOPS = ("first", "index", "index0", "last", "length", "revindex")
_DEPTH = 2  # of loops in one another: a few turns to some power would never end


def language_faults(tree: nodes.Template) -> list[str]:
    """Return what in a template no prompt may hold, each with its line and what is expected."""
    faults = [f"line {node.lineno}: {fault}" for node in tree.find_all(nodes.Node) if (fault := _fault(node))]
    if _depth(tree) > _DEPTH:
        faults.append(f"more than {_DEPTH} loops stand in one another; expected one over a conversation's turns")
    return list(dict.fromkeys(faults))


def _fault(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr):
        of_loop = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        allowed = _OF_LOOPS if of_loop else _ATTRIBUTES
        return None if node.attr in allowed else f"found .{node.attr}, expected {_either(allowed)}"
    if isinstance(node, nodes.Getitem) and not _is_by_number(node):
        return "found […] without a number, expected a turn or some, such as turns[0] or turns[-3:]"
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"found the filter {node.name}, expected {_either(FILTERS)}"
    if isinstance(node, nodes.For) and not _is_over_turns(node):
        return "found a loop over something else, expected {% for turn in field.turns %}"
    if isinstance(node, _ALLOWED):
        return None
    return f"found {type(node).__name__}, expected only fields, conditions and loops over a conversation's turns"


def _either(names: tuple[str, ...]) -> str:
    return f"one of {', '.join(names)}"


def _is_by_number(item: nodes.Getitem) -> bool:
    parts = [item.arg, *item.arg.find_all(nodes.Node)]
    return all(
        isinstance(part, nodes.Slice | nodes.Neg) or (isinstance(part, nodes.Const) and not isinstance(part.value, str))
        for part in parts
    )


def _is_over_turns(loop: nodes.For) -> bool:
    parts = [loop.iter, *loop.iter.find_all(nodes.Node)]
    return any(isinstance(part, nodes.Getattr) and part.attr == "turns" for part in parts)


def _depth(node: nodes.Node) -> int:
    return isinstance(node, nodes.For) + max((_depth(child) for child in node.iter_child_nodes()), default=0)
