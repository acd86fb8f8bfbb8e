"""What the host and its worker process say to one another: pickled objects over a socket, each after its length."""

import asyncio
import pickle
from dataclasses import dataclass, field
from typing import Any

_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Invocation:
    """Run this function with this argument, given as the keyword arguments of its class."""

    id: str
    function: str
    argument: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: with a result or, when it failed, with a traceback."""

    id: str
    result: Any = None
    traceback: str = ""


@dataclass(frozen=True)
class Answer:
    """What a function returned to an HTTP request; whatever else functions return is dropped."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


def write(writer: asyncio.StreamWriter, frame: object) -> None:
    content = pickle.dumps(frame)
    writer.write(len(content).to_bytes(_LENGTH_BYTES) + content)


async def read(reader: asyncio.StreamReader) -> Any:
    """The next frame; raises EOFError when the other side is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error
