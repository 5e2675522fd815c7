"""The yardstick for HTTP: an aiohttp handler that reads the body and answers a small JSON, in a process of its own.

``python -m tools.benchmark.echo`` prints the port that it listens on, and runs until it is terminated.
"""

import asyncio

import uvloop
from aiohttp import web

ANSWER = b'{"position":{"id":"BENCH-1","side":"long","status":"open"},"fee":{"amount":"0.10"},"offset":1}'


async def handle(request: web.Request) -> web.Response:
    """Read the body and answer."""
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json", status=201)


async def main() -> None:
    """Listen on a free port until terminated."""
    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
