"""``python -m tests.simulation``: run seeds, or replay one with a trace. ``make sim`` calls it."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.faults import KINDS
from tests.simulation.shrink import shrunk
from tests.simulation.world import Violation, run


def main() -> int:
    """Run; 1 if something does not hold."""
    asked = _arguments()
    if asked.seed is not None:
        return _replay(asked.seed, asked.steps, tuple(asked.without), quiet=asked.quiet)
    began, steps, rows, failed = time.perf_counter(), 0, 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            report = run(seed)
        except Violation as violation:
            failed += 1
            print(violation)
            print(f"  shorter: {_command(*shrunk(violation))}", flush=True)
        else:
            steps, rows = steps + report.steps, rows + report.rows
    took_s = time.perf_counter() - began
    print(
        f"{asked.seeds} seeds from {asked.first} in {took_s:.1f} s: {asked.seeds / took_s:.1f} seeds/s, "
        f"{steps / took_s:,.0f} steps/s, {rows:,} rows checked, {failed} failed"
    )
    return 1 if failed else 0


def _replay(seed: int, steps: int | None, without: tuple[str, ...], *, quiet: bool) -> int:
    try:
        report = run(seed, steps=steps, without=without, trace=None if quiet else print)
    except Violation as violation:
        print(violation)
        return 1
    print(report)
    return 0


def _command(seed: int, steps: int, without: tuple[str, ...]) -> str:
    """What replays a run, for a shell."""
    more = f" --without {' '.join(without)}" if without else ""
    return f"make sim SEED={seed} ARGS='--steps {steps}{more}'"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one, with a line for each step")
    parser.add_argument("--steps", type=int, help="of the world, before it is left alone: cuts a replay short")
    parser.add_argument("--without", nargs="*", default=[], choices=KINDS, help="kinds of fault to switch off")
    parser.add_argument("--quiet", action="store_true", help="no trace")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
