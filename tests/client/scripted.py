"""A server that does with each request what it is told, down to where it cuts the line; and a relay to a real venue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

LINES_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Step:
    """What to do with one request: answer, perhaps not to the end, and hold or cut the line."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: float = 1.0
    """The share of the answer's bytes that is sent."""
    amid_request: bool = False
    """Cut the line when the head of the request is there and its body is not read."""
    hangs: bool = False
    """Say nothing more, and leave the line open."""
    ends: bool = False
    """The body ends with the line: a stream."""


def refusal(status: int, code: str, **headers: str) -> Step:
    """An answer that is an error of the contract."""
    error = {"code": code, "message": "No.", "details": {"required": "2.00"}, "requestId": "r"}
    return Step(status, json.dumps({"error": error}).encode(), headers)


def stream(*parts: str, hangs: bool = False) -> Step:
    """An answer that is a stream of these parts."""
    body = "".join(parts).encode()
    return Step(200, body, {"Content-Type": "text/event-stream"}, hangs=hangs, ends=True)


class Scripted:
    """Takes one step for each request; when they are used up, the last one again."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.asked: list[Asked] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request. False: the line is cut."""
        first, *lines = (await reader.readuntil(LINES_END)).decode().strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        step = self.steps[min(len(self.asked), len(self.steps) - 1)]
        body = b"" if step.amid_request else await reader.readexactly(int(headers.get("Content-Length", 0)))
        self.asked.append(Asked(method, target, headers, body))
        if step.amid_request:
            return False
        said = {"Content-Type": "application/json", **step.headers}
        if not step.ends:
            said["Content-Length"] = str(len(step.body))
        head = f"HTTP/1.1 {step.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in said.items())
        answer = head.encode() + b"\r\n" + step.body
        writer.write(answer[: int(len(answer) * step.sent)])
        await writer.drain()
        if step.hangs:
            await reader.read()
        return step.sent == 1.0 and not (step.hangs or step.ends)


@asynccontextmanager
async def serving(*steps: Step) -> AsyncIterator[Scripted]:
    """A scripted server, listening."""
    scripted = Scripted(*steps)
    async with listening(scripted.serve) as scripted.url:
        yield scripted


@asynccontextmanager
async def listening(serve: Any) -> AsyncIterator[str]:
    """A server on a port of its own; its address. At the end no connection is left."""
    tasks: set[asyncio.Task[None]] = set()

    async def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(begun, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Relay:
    """Passes bytes on to a venue, which may change. ``lost``: so many answers never come back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lost = 0
        self.lines: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Cut every line."""
        for line in self.lines:
            line.transport.abort()
        self.lines.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            inside, outside = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            return
        self.lines += [writer, outside]
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, outside), self._pass(inside, writer, is_answer=True))

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, is_answer: bool = False) -> None:
        while data := await source.read(1 << 16):
            if is_answer and self.lost:
                self.lost -= 1
                break
            to.write(data)
            await to.drain()
        to.close()
