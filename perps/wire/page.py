"""The venue's web page: its files, and the demo's people in whose name a visitor may trade."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.wire.base import Answer, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import FILE, NOTHING, Operation


class DemoPerson(Answer):
    """Somebody of the demo, with pretend money."""

    user_id: UserId
    key: Annotated[str, Meta(description="Trades in the person's name.")]


class Demo(Answer):
    """In whose name a visitor may trade."""

    people: Annotated[
        list[DemoPerson],
        Meta(description="Empty: no demo runs, or the request did not come from this machine."),
    ]


DEMO: Final = Operation(
    name="getDemo",
    tag="Users",
    method="GET",
    path="/api/demo",
    summary="The keys of the demo's people, for visitors on the venue's own machine",
    description="A venue without `--demo` gives nobody's key away, and no venue gives one to another machine.",
    answers={200: Demo},
)
PAGE_FILE: Final = Operation(
    name="getPageFile",
    tag="Operations",
    method="GET",
    path="/page/{file}",
    summary="A file of the web page, which a browser gets at `/`",
    answers={200: FILE, 304: NOTHING},
    refusals=(Code.NOT_FOUND,),
)
