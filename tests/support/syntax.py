"""A module as Python's parser sees it, for tests that read all of our code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def nodes(module: Path) -> Iterator[ast.AST]:
    """Yield every node of a module in some order, in less than half the time of `ast.walk`."""
    waiting: list[ast.AST] = [ast.parse(module.read_text())]
    while waiting:
        node = waiting.pop()
        yield node
        for child in vars(node).values():
            if isinstance(child, list):
                waiting += [each for each in child if isinstance(each, ast.AST)]
            elif isinstance(child, ast.AST) and not isinstance(child, ast.expr_context):
                waiting.append(child)
