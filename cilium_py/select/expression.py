"""The language of --where: comparisons of a row's fields, joined by `and`, `or`, `not` and brackets.

    either   := both ("or" both)*
    both     := one ("and" one)*
    one      := "not" one | "(" either ")" | condition
    condition:= FIELD                                      a yes-or-no field
              | FIELD ("==" | "!=" | "<" | "<=" | ">" | ">=") (VALUE | FIELD)
              | FIELD ["not"] "in" (VALUE | "(" VALUE ("," VALUE)* ")")
              | FIELD ("has" | "contains" | "~") VALUE

A value is of the field's kind: a number (`10k`, `0xff`), a duration (`1h30m`), an address or network, a word (quoted if
it has blanks or is the name of a field).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from cilium_py.errors import WrongUsage
from cilium_py.schema.text import parse_ip, unmapped
from cilium_py.select import literals
from cilium_py.select.fields import Field, Fields, Kind, named
from cilium_py.select.tree import Compare, CompareFields, Covers, Has, Node, Not, Operator, all_of, any_of

TOKEN = re.compile(
    r"""\s*(?:(?P<sign>==|!=|<=|>=|<|>|=|~|[(),\[\]]|&&|\|\||!)
        |(?P<quoted>"[^"]*"|'[^']*')
        |(?P<word>[^\s()\[\],<>=!~"'&|]+))""",
    re.VERBOSE,
)
OPERATORS: dict[str, Operator] = {"==": "==", "=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
SYNONYMS = {"&&": "and", "||": "or", "!": "not", "[": "(", "]": ")"}
LONGEST, DEEPEST = 10_000, 50


class Token(NamedTuple):
    text: str
    column: int
    """From 1."""
    quoted: bool = False

    def said(self) -> str:
        return repr(self.text) if self.text else "the end"


def parse(text: str, fields: Fields) -> Node:
    """The selection that an expression says. Raises WrongUsage that names the column."""
    if len(text) > LONGEST:
        raise WrongUsage(f"--where: longer than {LONGEST} characters")
    reader = _Reader(_tokens(text), fields)
    node = reader.either()
    reader.expect("", "and, or, or the end")
    return node


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            blank = len(text[at:]) - len(text[at:].lstrip())
            column = at + blank + 1
            raise WrongUsage(f"--where: {text[column - 1]!r} at column {column} is not understood", _hint(text, column))
        kind = found.lastgroup or ""
        word = found[kind]
        column = found.start(kind) + 1
        if kind == "quoted":
            tokens.append(Token(word[1:-1], column, True))
        else:
            tokens.append(Token(SYNONYMS.get(word, word), column))
        at = found.end()
    return [*tokens, Token("", len(text) + 1)]


def _hint(text: str, column: int) -> str:
    if text[column - 1] in "\"'":
        return "the quote is not closed"
    return "a comparison is FIELD == VALUE; they are joined by and, or, not, ( and )"


class _Reader:
    """Reads tokens from the front; each method takes what it is named after."""

    def __init__(self, tokens: list[Token], fields: Fields) -> None:
        self.tokens = tokens
        self.fields = fields
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.next
        self.at += token.text != "" or token.quoted
        return token

    def is_next(self, *texts: str) -> bool:
        return not self.next.quoted and self.next.text.lower() in texts

    def expect(self, text: str, what: str) -> None:
        if not self.is_next(text):
            raise self.wrong(self.next, f"{what} expected")
        self.take()

    def wrong(self, token: Token, why: str, hint: str | None = None) -> WrongUsage:
        return WrongUsage(f"--where: {token.said()} at column {token.column}: {why}", hint)

    def either(self) -> Node:
        return any_of(*self.joined("or", self.both))

    def both(self) -> Node:
        return all_of(*self.joined("and", self.one))

    def joined(self, word: str, part: Callable[[], Node]) -> list[Node]:
        terms = [part()]
        while self.is_next(word):
            self.take()
            terms.append(part())
        return terms

    def one(self) -> Node:
        if not self.is_next("not", "("):
            return self.condition()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(self.next, f"nested more than {DEEPEST} deep")
        if self.take().text.lower() == "not":
            node: Node = Not(self.one())
        else:
            node = self.either()
            self.expect(")", "a closing bracket")
        self.depth -= 1
        return node

    def condition(self) -> Node:
        token = self.take()
        if not token.text or token.quoted or token.text in OPERATORS:
            raise self.wrong(token, "a field expected", f"fields: {', '.join(self.fields)}")
        field = named(self.fields, token.text, "--where: ", f" at column {token.column}")
        negated = self.is_next("not")
        if negated:
            self.take()
            if not self.is_next("in"):
                raise self.wrong(self.next, "in expected after not")
        sign = self.next
        if self.is_next("in"):
            self.take()
            node = self.listed(field)
            return Not(node) if negated else node
        if self.is_next("has", "contains"):
            self.take()
            return self.held(field)
        if self.is_next("~"):
            self.take()
            return self.value(lambda text: literals.like(field, text))
        if self.is_next("!=", *OPERATORS):
            self.take()
            if sign.text == "!=":
                return Not(self.compared(field, "=="))
            return self.compared(field, OPERATORS[sign.text])
        if field.kind is Kind.FLAG:
            return Compare(field, "==", True)
        raise self.wrong(sign, f"a comparison of {field.name} expected", "one of == != < <= > >= in has contains ~")

    def compared(self, field: Field, operator: Operator) -> Node:
        other = self.fields.get(self.next.text) if not self.next.quoted else None
        if other is not None and other.kind is field.kind and field.kind in (Kind.NUMBER, Kind.ADDRESS, Kind.FLAG):
            if field.kind is not Kind.NUMBER and operator != "==":
                raise self.wrong(self.next, f"{field.name} is {field.kind.value}: it has no order")
            self.take()
            return CompareFields(field, operator, other)
        return self.value(lambda text: literals.compared(field, operator, text))

    def listed(self, field: Field) -> Node:
        if not self.is_next("("):
            return self.value(lambda text: literals.inside(field, text))
        self.take()
        terms = [self.value(lambda text: literals.inside(field, text))]
        while self.is_next(","):
            self.take()
            terms.append(self.value(lambda text: literals.inside(field, text)))
        self.expect(")", "a comma or a closing bracket")
        return any_of(*terms)

    def held(self, field: Field) -> Node:
        match field.kind:
            case Kind.NAMES:
                return self.value(lambda text: Has(field, text))
            case Kind.PREFIX:
                return self.value(lambda text: Covers(field, unmapped(parse_ip(text))))
        raise self.wrong(self.next, f"{field.name} is {field.kind.value}: it contains nothing", "== compares it")

    def value(self, made: Callable[[str], Node]) -> Node:
        token = self.take()
        if (not token.text and not token.quoted) or self._is_sign(token):
            raise self.wrong(token, "a value expected")
        try:
            return made(token.text)
        except WrongUsage as error:
            raise WrongUsage(f"--where: column {token.column}: {error.message}", error.hint) from None

    def _is_sign(self, token: Token) -> bool:
        return not token.quoted and (token.text in OPERATORS or token.text in ("(", ")", ",", "!=", "~"))
