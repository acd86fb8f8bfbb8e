"""`python -m shared.operate`: list, explain and release studies that were set aside. For operators.

Reads the same settings as the app, from the environment.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from shared.advice import ADVICE
from shared.config import Settings
from shared.errors import Misconfigured, SyncError
from shared.settings.hosting import StorageAccount
from shared.sync.parked import ParkedStudy, parked_studies, release
from shared.wiring import App, build


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 something failed, 2 wrong arguments."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "explain":
            return _explain(options.code)
        return asyncio.run(_with_app(options))
    except Misconfigured as error:
        print(*error.problems, sep="\n", file=sys.stderr)
    except SyncError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
    return 1


async def _with_app(options: argparse.Namespace) -> int:
    app = build(Settings.load(), StorageAccount.load())
    try:
        found = [one for one in await parked_studies(app.records) if _is_meant(one, options)]
        return await (_list(found) if options.command == "list" else _release(app, found))
    finally:
        await app.close()


async def _list(studies: Sequence[ParkedStudy]) -> int:
    for one in studies:
        study = one.study
        print(study.study_instance_uid, study.partition_name, one.code, one.parked_at, one.reason, sep="\t")
    print(f"{len(studies)} studies are set aside", file=sys.stderr)
    return 0


async def _release(app: App, studies: Sequence[ParkedStudy]) -> int:
    count = await release(app.records, app.queue, studies)
    print(f"{count} studies were sent through the queue once more", file=sys.stderr)
    return 0 if count else 1


def _explain(code: str) -> int:
    advice = ADVICE.get(code)
    if advice is None:
        print(f"there is no code {code!r}; these there are: {', '.join(ADVICE)}", file=sys.stderr)
        return 1
    print(f"{code} ({advice.outcome}): {advice.text}")
    return 0


def _is_meant(one: ParkedStudy, options: argparse.Namespace) -> bool:
    if options.code and one.code != options.code:
        return False
    return not options.study or one.study.study_instance_uid == options.study


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.operate", description="Studies that were set aside.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="study, partition, code, since when and why, tab-separated")
    listing.add_argument("--code", help="only those with this code")
    listing.add_argument("--study", help="only this Study Instance UID")
    explaining = commands.add_parser("explain", help="what a code means and what to do about it")
    explaining.add_argument("code")
    releasing = commands.add_parser("release", help="try studies again: name what")
    which = releasing.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", help="this Study Instance UID")
    which.add_argument("--code", help="all with this code")
    which.add_argument("--all", action="store_true", help="all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
