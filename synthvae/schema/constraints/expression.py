"""Arithmetic expressions of columns: parsed into a small tree of known operations, and evaluated for all rows at once.

Python's parser reads the text, and nothing of it is run: each node must be a number, a column, or one of `OPERATIONS`.
Lengths, depths and exponents have limits, so that text from strangers costs little.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from synthvae.schema.constraints.comparable import Numbers
from synthvae.schema.constraints.operations import EXACT, OPERATIONS, whole

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 100  # a sum of so many columns is nested as deeply
MAX_NODES = 200
MAX_EXPONENT = 10.0
MAX_ARGUMENTS = 50
WAY_OUT = "Write an expression such as `weight / height ** 2`; names with spaces stand between backticks."

# A name between backticks, or one with letters beyond ASCII, which Python's parser would normalise.
NAMED = re.compile(r"`([^`]*)`|([^\W\d]\w*)")
PLACEHOLDER = "column_{}_"


@dataclass(frozen=True)
class Node:
    """An operation, with its arguments.

    Args:
        operation: A key of `OPERATIONS`, "number" or "column".
        arguments: Nodes of the arguments.
        value: The number, or the name of the column.
    """

    operation: str
    arguments: tuple[Node, ...] = ()
    value: Any = None


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Args:
        text: The expression as it is written.
        tree: Its root.

    Example:
        >>> import numpy as np
        >>> found = parse("max(low, 0) + `dose in mg` / 2")
        >>> found.names
        ('low', 'dose in mg')
        >>> found.evaluate({"low": np.array([-1.0, 2.0]), "dose in mg": np.array([4.0, 6.0])}).tolist()
        [2.0, 5.0]
    """

    text: str
    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each once, in the order of the text."""
        return tuple(dict.fromkeys(_names(self.tree)))

    def evaluate(self, columns: Mapping[str, Numbers]) -> Numbers:
        """Return the value of each row (n,); NaN where one is missing, and where a division by zero gives none.

        Args:
            columns: The numbers (n,) of each column.
        """
        with np.errstate(all="ignore"):
            return _evaluate(self.tree, columns)


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Return the tree of an expression.

    Args:
        text: Numbers, columns, + - * / // % **, comparisons, and, or, not, and the functions min, max, abs, round,
            floor, ceil and where(condition, value, otherwise).

    Raises:
        ValueError: The text is no such expression, or exceeds a limit.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression must have at most {MAX_LENGTH} characters, got {len(text)}. Shorten it.")
    names: list[str] = []
    plain = NAMED.sub(lambda found: _placeholder(found, names), text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of numbers that touch a keyword
            body = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise ValueError(f"an expression must be arithmetic, got {text!r:.80} ({reason}). {WAY_OUT}") from error
    reader = _Reader(names)
    tree = reader.read(body, 1)
    if not reader.columns:
        raise ValueError(f"an expression must name a column, got {text!r:.80}. {WAY_OUT}")
    return Expression(text, tree)


def _placeholder(found: re.Match[str], names: list[str]) -> str:
    quoted, word = found.groups()
    if quoted is None and word.isascii():
        return str(word)
    names.append(word if quoted is None else quoted)
    return PLACEHOLDER.format(len(names) - 1)


def can_be_named(name: str) -> bool:
    """Whether an expression can name a column: it has no backtick, and is short beside an expression."""
    return "`" not in name and len(name) <= MAX_LENGTH // 2


def quoted(name: str) -> str:
    """Return the name of a column as an expression names it.

    >>> quoted("dose"), quoted("dose in mg")
    ('dose', '`dose in mg`')
    """
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("column_")
    return name if plain else f"`{name}`"


class _Reader:
    """Converts Python's tree, node by node; whatever is not known is refused."""

    def __init__(self, names: list[str]) -> None:
        self.names = {PLACEHOLDER.format(place): name for place, name in enumerate(names)}
        self.nodes = 0
        self.columns = 0

    def read(self, node: ast.expr, depth: int) -> Node:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ValueError(
                f"an expression must have at most {MAX_DEPTH} nested levels and {MAX_NODES} parts, got more. Split it."
            )
        reader = READERS.get(type(node))
        if reader is None:
            _refuse(node)
        return reader(self, node, depth + 1)

    def all(self, nodes: list[ast.expr], depth: int) -> tuple[Node, ...]:
        if len(nodes) > MAX_ARGUMENTS:
            raise ValueError(f"a function must have at most {MAX_ARGUMENTS} arguments, got {len(nodes)}.")
        return tuple(self.read(node, depth) for node in nodes)

    def constant(self, node: ast.Constant, depth: int) -> Node:
        del depth
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
            raise ValueError(f"an expression must have numbers below 1e15, got {value!r:.40}. Columns have no quotes.")
        return Node("number", value=float(value))

    def name(self, node: ast.Name, depth: int) -> Node:
        del depth
        self.columns += 1
        found = self.names.get(node.id, node.id)
        if not found:
            raise ValueError(f"an expression must have a name between backticks, got none. {WAY_OUT}")
        return Node("column", value=found)

    def unary(self, node: ast.UnaryOp, depth: int) -> Node:
        name = UNARY.get(type(node.op))
        if name is None:
            _refuse(node)
        return Node(name, (self.read(node.operand, depth),))

    def binary(self, node: ast.BinOp, depth: int) -> Node:
        name = BINARY.get(type(node.op))
        if name is None:
            _refuse(node)
        arguments = self.all([node.left, node.right], depth)
        if name == "**":
            _check_exponent(arguments[1])
        return Node(name, arguments)

    def boolean(self, node: ast.BoolOp, depth: int) -> Node:
        return Node("and" if isinstance(node.op, ast.And) else "or", self.all(node.values, depth))

    def comparison(self, node: ast.Compare, depth: int) -> Node:
        values = self.all([node.left, *node.comparators], depth)
        parts = []
        for place, operator in enumerate(node.ops):
            name = COMPARED.get(type(operator))
            if name is None:
                _refuse(node)
            parts.append(Node(name, values[place : place + 2]))
        return parts[0] if len(parts) == 1 else Node("and", tuple(parts))

    def call(self, node: ast.Call, depth: int) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        least, most = FUNCTIONS.get(name or "", (0, -1))
        if most < 0:
            known = ", ".join(FUNCTIONS)
            raise ValueError(f"an expression must call one of {known}, got {_written(node.func)!r}. {WAY_OUT}")
        if node.keywords or not least <= len(node.args) <= most:
            raise ValueError(f"`{name}` must have {least} to {most} arguments, got {len(node.args)}. Correct it.")
        arguments = self.all(node.args, depth)
        if name == "round" and len(arguments) == 2:
            _check_digits(arguments[1])
        return Node(str(name), arguments)


def _refuse(node: ast.AST) -> NoReturn:
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(getattr(node, "op", node)).__name__).lower()
    raise ValueError(f"an expression must be arithmetic, got {_written(node)!r} ({kind}). {WAY_OUT}")


def _written(node: ast.AST) -> str:
    """The beginning of the text of a node."""
    try:
        return ast.unparse(node)[:40]
    except RecursionError:
        return "..."


def _number(node: Node) -> float | None:
    """The value of a number, which may have a sign."""
    if node.operation == "negative" and (inner := _number(node.arguments[0])) is not None:
        return -inner
    return float(node.value) if node.operation == "number" else None


def _check_exponent(node: Node) -> None:
    value = _number(node)
    if value is None or abs(value) > MAX_EXPONENT:
        shown = "a column" if value is None else f"{value:g}"
        raise ValueError(f"an exponent must be a number between -{MAX_EXPONENT:g} and {MAX_EXPONENT:g}, got {shown}.")


def _check_digits(node: Node) -> None:
    value = _number(node)
    if value is None or not value.is_integer() or abs(value) > 12:
        raise ValueError("`round` must have a whole number of digits up to 12 as its second argument, got another one.")


def _names(node: Node) -> Iterator[str]:
    if node.operation == "column":
        yield node.value
    for argument in node.arguments:
        yield from _names(argument)


def _evaluate(node: Node, columns: Mapping[str, Numbers]) -> Numbers:
    if node.operation == "column":
        return columns[node.value]
    if node.operation == "number":
        return np.full(len(next(iter(columns.values()))), node.value)
    arguments = [_evaluate(argument, columns) for argument in node.arguments]
    if node.operation in EXACT:
        if any(argument.dtype == object for argument in arguments):
            arguments = [whole(argument) for argument in arguments]
    else:
        arguments = [argument.astype(np.float64) for argument in arguments]
    found = np.asarray(OPERATIONS[node.operation](*arguments))
    return found if found.dtype == object else np.where(np.isfinite(found), found, np.nan)  # of a division by zero


BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "negative", ast.UAdd: "positive", ast.Not: "not"}
COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
FUNCTIONS = {
    "min": (2, MAX_ARGUMENTS),
    "max": (2, MAX_ARGUMENTS),
    "abs": (1, 1),
    "round": (1, 2),
    "floor": (1, 1),
    "ceil": (1, 1),
    "where": (3, 3),
}  # the least and the largest number of arguments
READERS: dict[type[ast.expr], Callable[[_Reader, Any, int], Node]] = {
    ast.Constant: _Reader.constant,
    ast.Name: _Reader.name,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.BoolOp: _Reader.boolean,
    ast.Compare: _Reader.comparison,
    ast.Call: _Reader.call,
}
