"""``perps apply``: make a venue have what a world's file says, and keep the world going if asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import rich_click as click

from tools.output import counted, show_json, show_line
from tools.settings import Access, SettingsCommand, access_options, json_option
from tools.stopping import stopping


@click.command(cls=SettingsCommand)
@click.argument("file", metavar="FILE|NAME")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--run", is_flag=True, help="Then keep the feeds, stories and agents of the file going, until Ctrl-C.")
@click.option(
    "--keys-in",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the files with keys.  [default: the venue's data directory]",
)
@access_options
@json_option
def apply(file: str, only_plan: bool, run: bool, keys_in: Path | None, access: Access, as_json: bool) -> int:
    """Set up a world: the markets, users and keys of a file.

    It does what the running venue lacks and nothing else: the second time there is nothing to do. NAME is a world that
    comes with perps: demo, game or crypto. To start a venue and a world together: perps serve --world.
    """
    from tools.client import RETRY_S, be_patient, venue_at
    from tools.worlds.agents import agents_of
    from tools.worlds.plan import counts, plan
    from tools.worlds.reading import path_of, read_world
    from tools.worlds.run import keep_going

    if only_plan and run:
        raise click.UsageError("give --plan or --run, not both")
    world = read_world(path_of(file))
    folder = keys_in or access.data_dir

    async def work() -> Sequence[str]:
        async with venue_at(access, retry_s=RETRY_S) as admin:
            found = await plan(admin, world, folder)
            for step in found.steps:
                if not only_plan:
                    await step.do()
                if not as_json:
                    show_line(f"would {step.text}" if only_plan else step.text)
            if run:
                stop = asyncio.Event()
                agents = counted(len(list(agents_of(world))), "agent")
                show_line(f"{world.name} runs with {agents}; Ctrl-C stops it", err=True)
                be_patient(admin, 0)  # each part tries again by itself
                with stopping(stop):
                    await keep_going(admin, world, stop, ready=lambda: None)
            return [step.text for step in found.steps]

    steps = asyncio.run(work())
    if as_json:
        show_json({"world": world.name, "isPlan": only_plan, "steps": steps})
    elif not steps:
        show_line(f"nothing to change: {counts(world)} are as the file says")
    return 0
