"""Random conditions over the columns of `test_translate`'s table, as somebody might write them into a CHECK."""

from random import Random

_TEXTS = ["t", '"Word"', "v", "c", "ci", "m::text", "c::text", "ci::text", "v::text", "u::text"]
_TEXT_CONSTANTS = ["'abc'", "'ABC'", "''", "'a'", "'é'", "'ab'"]
_NUMBERS = ["f", "f * 2", "-f", "0.1", "1.5", "price", "0.10", "amount", "r", "a::float8", "price::float8", "7"]
_ANY = [
    "a",
    "b",
    "price",
    "amount",
    "f",
    "r",
    "on_sale",
    "t",
    "v",
    "c",
    "ci",
    "m",
    "u",
    "d",
    "at",
    "j",
    "raw",
    "tags",
    "len",
]
_COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]
_PATTERNS = ["'%a%'", "'a_c'", "'%'", "'A%'", "'%*%'", "'%[%'"]
_DEEPEST = 3


class Conditions:
    """The same seed gives the same conditions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def condition(self, depth: int = 0) -> str:
        simple = [self._compared, self._null, self._text, self._like, self._among, self._moment, self._flag]
        nested = [self._joined, self._negated, self._equal] if depth < _DEEPEST else []
        return f"({self._random.choice([*simple, *nested])(depth + 1)})"

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _joined(self, depth: int) -> str:
        return f"{self.condition(depth)} {self._pick('AND', 'OR')} {self.condition(depth)}"

    def _negated(self, depth: int) -> str:
        return f"NOT {self.condition(depth)}"

    def _equal(self, depth: int) -> str:
        return f"{self.condition(depth)} = {self.condition(depth)}"

    def _compared(self, depth: int) -> str:
        if self._random.random() < 0.4:
            return f"{self._pick(*_NUMBERS)} {self._pick(*_COMPARISONS)} {self._pick(*_NUMBERS)}"
        return f"{self._integer(depth)} {self._pick(*_COMPARISONS, 'IS DISTINCT FROM')} {self._integer(depth)}"

    def _null(self, depth: int) -> str:
        return f"{self._pick(*_ANY)} IS {self._pick('', 'NOT ')}NULL"

    def _text(self, depth: int) -> str:
        one, other = self._string(depth), self._string(depth)
        return self._pick(
            f"{one} {self._pick('=', '<>', '<', 'IS NOT DISTINCT FROM')} {other}", f"starts_with({one}, {other})"
        )

    def _like(self, depth: int) -> str:
        return f"{self._string(depth)} {self._pick('', 'NOT ')}LIKE {self._pick(*_PATTERNS)}"

    def _among(self, depth: int) -> str:
        word = self._pick("IN", "NOT IN")
        return self._pick(f"{self._string(depth)} {word} ('abc', 'x')", f"{self._integer(depth)} {word} (0, 7, -3)")

    def _moment(self, depth: int) -> str:
        sign = self._pick(*_COMPARISONS)
        return self._pick(f"d {sign} e", f"e {sign} '2020-02-29'", f"at {sign} till", f"at {sign} '2020-01-01 00:00Z'")

    def _flag(self, depth: int) -> str:
        return self._pick("on_sale", "on_sale IS TRUE", "on_sale = false", "m = 'ok'", "m <> 'sad'")

    def _integer(self, depth: int) -> str:
        if depth > _DEEPEST:
            return self._pick("a", "b", "0", "-3", "7")
        one, other = self._integer(depth + 1), self._integer(depth + 1)
        case = f"CASE WHEN {self.condition(depth + 1)} THEN {one} ELSE {other} END"
        return self._pick(
            *("a", "b", "7", f"({one} {self._pick('+', '-', '*')} {other})", f"({one} % 5)", f"({one} / 3)", case),
            *(
                f"coalesce({one}, {other})",
                f"abs({one})",
                f"length({self._string(depth + 1)})",
                "num_nonnulls(a, t, ci)",
            ),
        )

    def _string(self, depth: int) -> str:
        if depth > _DEEPEST:
            return self._pick(*_TEXTS, *_TEXT_CONSTANTS)
        one, other = self._string(depth + 1), self._string(depth + 1)
        return self._pick(
            *(*_TEXTS, *_TEXT_CONSTANTS, f"({one} || {other})", f"({one} || a)", f"left({one}, 2)", f"btrim({one})"),
            *(
                f"substring({one} FROM 2 FOR 2)",
                f"coalesce({one}, {other})",
                f"nullif({one}, {other})",
                f"lower({one})",
            ),
        )
