"""Which names a Bicep file declares, and which it uses. Without a compiler nobody else notices one that does not exist.

Reads the text: the parser does not tell the symbol `name` from the string `'name'`.
"""

import re
from collections.abc import Iterator

TOKEN = re.compile(
    r"(?P<skip>//[^\n]*|\s+|'''.*?''')|(?P<quote>')|(?P<name>[A-Za-z_]\w*)|(?P<other>=>|.)",
    re.DOTALL,
)
DECLARATION = re.compile(r"^(?:param|var|resource|module) (\w+)", re.MULTILINE)
# what stands before the expression of a statement: names and types that are declared there, not used
HEAD = re.compile(r"^(?:targetScope|var \w+|(?:param|output) \w+ \w+|(?:resource|module) \w+)", re.MULTILINE)
LANGUAGE = {"for", "in", "if", "existing", "true", "false", "null"}
# lambdas, and the item and index of a loop
LOCAL = re.compile(r"(\w+) =>|for (\w+) in|for \((\w+), (\w+)\) in")


def declared(text: str) -> set[str]:
    """Parameters, variables, resources and modules."""
    return set(DECLARATION.findall(text))


def used(text: str) -> set[str]:
    """Names that stand for a symbol: no keys, properties, functions, local names or words of the language."""
    tokens = ["", *_tokens(HEAD.sub("", text)), ""]
    locals_ = {name for found in LOCAL.findall(text) for name in found}
    return {
        token
        for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if token.isidentifier() and token not in LANGUAGE | locals_ and not _is_other(before, after)
    }


def _is_other(before: str, after: str) -> bool:
    """A property, a function or a key; `a ? b : c` and `for one in b:` have a symbol before a colon."""
    return before == "." or after == "(" or (after == ":" and before not in {"?", "in"})


def _tokens(text: str) -> Iterator[str]:
    """Tokens of expressions, those that strings interpolate included."""
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match
        position = match.end()
        if match["quote"]:
            end = _end_of_string(text, position)
            yield "'"
            for inside in re.findall(r"\$\{(.*?)\}", text[position:end]):
                yield from ["{", *_tokens(inside), "}"]
            position = end + 1
        elif not match["skip"]:
            yield match[0]


def _end_of_string(text: str, position: int) -> int:
    """Of a string whose interpolations hold no strings: those are hard to read, too."""
    end = re.compile(r"(?:\\.|[^'\\\n])*").match(text, position)
    assert end
    return end.end()
