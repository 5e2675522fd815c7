"""The same load from ``wrk``, if it is installed: it is written in C and leaves the venue more of the machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from tools.benchmark.load import LoadResult, LoadSpec
from tools.errors import ToolError

THREADS_MAX: Final = 4

SCRIPT: Final = """\
local run, keys, tickers = "@RUN@", {@KEYS@}, {@TICKERS@}
local threads, sides = 0, {"long", "short"}
function setup(thread) thread:set("id", threads) threads = threads + 1 end
function init(args) count = 0 end
function request()
  count = count + 1
  local key = keys[(count * @THREADS@ + id) % #keys + 1]
  local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. key}
  local body = string.format('{"ticker":"%s","side":"%s","size":"100","leverage":10,"clientOrderId":"%s-%d-%d"}',
    tickers[count % #tickers + 1], sides[math.floor(count / #tickers) % 2 + 1], run, id, count)
  return wrk.format("POST", "@PATH@", headers, body)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n@@{"requests":%d,"us":%d,"p50":%d,"p99":%d,"status":%d,"lost":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


def run(spec: LoadSpec, directory: Path) -> LoadResult:
    """Send the load, after a warm-up if there is one. Percentiles include failures. Errors: ToolError."""
    if spec.warm_up_s:
        _wrk(msgspec.structs.replace(spec, run=f"{spec.run}w"), directory, max(1, round(spec.warm_up_s)))
    return _wrk(spec, directory, max(1, round(spec.seconds)))


def _wrk(spec: LoadSpec, directory: Path, seconds: int) -> LoadResult:
    connections = len(spec.keys)
    threads = min(THREADS_MAX, os.cpu_count() or 1, connections)
    filled = SCRIPT.replace("@RUN@", spec.run).replace("@PATH@", spec.path).replace("@THREADS@", str(threads))
    filled = filled.replace("@KEYS@", _lua_list(spec.keys)).replace("@TICKERS@", _lua_list(spec.tickers))
    script = directory / "load.lua"
    script.touch(mode=0o600)  # it holds keys
    script.write_text(filled)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency", f"-s{script}"]
    command.append(f"http://{spec.host}:{spec.port}{spec.path}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    marked = [line for line in done.stdout.splitlines() if line.startswith("@@")]
    if done.returncode != 0 or not marked:
        raise ToolError(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    found = json.loads(marked[-1][2:])
    return LoadResult(
        succeeded=found["requests"] - found["status"],
        seconds=found["us"] / 1e6,
        p50_ms=found["p50"] / 1e3,
        p99_ms=found["p99"] / 1e3,
        failures={name: found[name] for name in ("status", "lost") if found[name]},
    )


def _lua_list(texts: list[str]) -> str:
    return ",".join(json.dumps(text) for text in texts)
