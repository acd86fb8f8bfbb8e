"""multipart/related in and out (RFC 2387), on bytes."""

from collections.abc import Iterable, Iterator
from email.message import Message


class MalformedError(ValueError):
    """The body is not the multipart that its header announces."""


def parameters(header: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case and its parameters by lower-case name."""
    message = Message()
    message["content-type"] = header
    found = message.get_params(failobj=[])
    return (found[0][0].strip().lower() if found else ""), {name.lower(): value for name, value in found[1:]}


def split(body: bytes, boundary: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """The parts as (headers by lower-case name, content); raises MalformedError when the end is missing."""
    mark = b"\r\n--" + boundary.encode("latin-1")
    at = _first(body, mark)
    while not body.startswith(b"--", at):
        head_end = body.find(b"\r\n\r\n", at)
        end = body.find(mark, head_end + 2)
        if head_end < 0 or end < 0:
            raise MalformedError
        yield _headers(body[at:head_end]), body[head_end + 4 : end]
        at = end + len(mark)


def _first(body: bytes, mark: bytes) -> int:
    if body.startswith(mark[2:]):
        return len(mark) - 2
    found = body.find(mark)
    if found < 0:
        raise MalformedError
    return found + len(mark)


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n") if line.strip())
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def join(parts: Iterable[tuple[str, bytes]], boundary: str) -> Iterator[bytes]:
    """A multipart body from (content type, content), in pieces."""
    for content_type, content in parts:
        yield f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        yield content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
