"""`python -m shared.operate`: list what failed, is retried or was skipped, explain it, and retry it.

For operators. Reads the same settings as the app, from the environment.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence

from shared.advice import ADVICE, Advice
from shared.config import Settings
from shared.errors import Misconfigured, SyncError
from shared.model import DEFAULT_PARTITION, PARTITION_NAME, StudyKey, is_uid
from shared.noted import NOTED
from shared.settings.hosting import StorageAccount
from shared.sync.cases import Case, State, cases, retry
from shared.telemetry import quiet_libraries
from shared.wiring import App, build

COLUMNS = ("state", "study", "partition", "instance", "code", "at (UTC)", "attempts", "reason")
ALL = "all"
CODES: dict[str, Advice] = {**ADVICE, **NOTED}
# without the table of values that could not be used: it is the largest by far
USUAL = (State.FAILED, State.RETRYING, State.SKIPPED)
EPILOG = """\
states:
  failed    studies that wait for their next change, or for you
  retrying  studies that are tried again by themselves, with growing delays
  skipped   instances that are not in FHIR, and rows of the change feed and
            messages that cannot be read; the rest is in sync
  noted     studies that are in sync, with a contradiction, a missing value or
            a value that somebody else set (with list: noted, all, --study)

the usual way:
  python -m shared.operate list                the failed studies, and what to do
  (do it)
  python -m shared.operate retry --code CODE   or --study UID, or --all

exit codes: 0 done; 1 an error, or nothing matches; 2 wrong arguments
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 an error or no match, 2 wrong arguments."""
    quiet_libraries()
    options = _parser().parse_args(arguments)
    try:
        if options.command == "explain":
            return _explain(options.code)
        return asyncio.run(_with_app(options))
    except Misconfigured as error:
        _say(*error.problems)
    except SyncError as error:
        _say(f"{error.code}: {error}", _text_of(error.code))
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
    return 1


async def _with_app(options: argparse.Namespace) -> int:
    app = build(Settings.load(), StorageAccount.load())
    try:
        return await (_list(app, options) if options.command == "list" else _retry(app, options))
    finally:
        await app.close()


async def _list(app: App, options: argparse.Namespace) -> int:
    what = options.what or (ALL if options.code or options.study else State.FAILED)
    states = tuple(State) if what == ALL else (State(what),)
    is_noted = State.NOTED in states and (options.code is None or options.code in NOTED)
    read = (*USUAL, State.NOTED) if is_noted else USUAL
    everything = await cases(app.records, read, NOTED)
    found = [one for one in everything if one.state in states and _is_meant(one, options)]
    if found:
        _print_table([COLUMNS, *map(_cells, found)])
    counts = Counter(one.state for one in everything)
    told = ", ".join(f"{counts[state]} {state}" for state in read)
    _say("", f"in total: {told}; {await _waiting(app)}")
    try:
        await app.readers()
    except Misconfigured as error:
        _say("", f"{error.code}: {error}")
    for code, count in sorted(Counter(one.code for one in found).items()):
        _say("", f"{code} ({count}): {_text_of(code)}")
    return 0


async def _waiting(app: App) -> str:
    """How many messages are in the queues. A role that may send messages may lack the right to count them."""
    try:
        waiting, poison = await app.queue.depth(), await app.poison_queue.depth()
    except Misconfigured as error:
        return f"messages are not counted ({error}): /api/health shows how many there are"
    return f"{_counted(waiting, 'message')} in the queue, {poison} in the poison queue"


async def _retry(app: App, options: argparse.Namespace) -> int:
    everything = await cases(app.records, (State.NOTED,) if options.code in NOTED else USUAL, NOTED)
    chosen = [one for one in everything if _is_meant(one, options) and (not options.all or one.state is State.FAILED)]
    named = await _named(app, options, chosen) if options.study else []
    if not chosen and not named:
        _say("nothing matches: see `python -m shared.operate list all`")
        return 1
    sent, seen = await retry(app.records, app.queue, chosen, named)
    _say(f"sent through the queue again: {_counted(sent, 'study', 'studies')}")
    if seen:
        _say(f"removed, since nothing else removes them: {_counted(seen, 'row')}")
    if sent:
        _say("see the result: `python -m shared.operate list`; the row of a study goes when the study is in sync")
    return 0


async def _named(app: App, options: argparse.Namespace, chosen: Sequence[Case]) -> list[StudyKey]:
    """A study without a row is resynced, too: its message may have been lost. If nothing is known of it, the data
    partition has to be named.
    """
    if options.partition:
        return [StudyKey(options.partition, options.study)]
    known = await app.studies.partitions_of(options.study)
    return known or ([] if chosen else [StudyKey(DEFAULT_PARTITION, options.study)])


def _counted(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _explain(code: str | None) -> int:
    if code is not None and code not in CODES:
        _say(f"there is no code {code!r}; the codes are: {', '.join(CODES)}")
        return 1
    for name in [code] if code else CODES:
        print(f"{name} ({CODES[name].outcome}): {_text_of(name)}")
    return 0


def _is_meant(one: Case, options: argparse.Namespace) -> bool:
    if options.code and one.code != options.code:
        return False
    if options.partition and one.study.partition_name != options.partition:
        return False
    return not options.study or one.study.study_instance_uid == options.study


def _text_of(code: str) -> str:
    return CODES[code].text if code in CODES else "This app did not write the row like that. Look at it in the table."


def _cells(one: Case) -> tuple[str, ...]:
    cells = (one.state, *reversed(one.study), one.instance, one.code, one.at, str(one.attempts or ""), one.reason)
    return tuple("".join(sign if sign.isprintable() else "?" for sign in cell) for cell in cells)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Aligned for people; separated by tabs for programs."""
    if not sys.stdout.isatty():
        for row in rows:
            print(*row, sep="\t")
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.operate",
        description="List what failed, is retried or was skipped, explain it, and retry it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{list,explain,retry}")
    listing = commands.add_parser("list", help="list studies and instances, with the reason and what to do")
    what = "default: failed, and all with --code or --study"
    listing.add_argument("what", nargs="?", choices=[*State, ALL], help=what)
    listing.add_argument("--code", help="only those with this code")
    listing.add_argument("--study", metavar="UID", help="only this Study Instance UID")
    listing.set_defaults(partition=None)
    explaining = commands.add_parser("explain", help="what a code means and what to do about it")
    explaining.add_argument("code", nargs="?", help="all of them without one")
    retrying = commands.add_parser("retry", help="retry studies now: name which")
    which = retrying.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", metavar="UID", type=_uid, help="this Study Instance UID, also without a row")
    which.add_argument("--code", help="all with this code")
    which.add_argument("--all", action="store_true", help="all that have failed")
    retrying.add_argument(
        "--partition",
        metavar="NAME",
        type=_partition,
        help="only in this data partition; needed for a study that has no row and was never written",
    )
    return parser


def _uid(text: str) -> str:
    if not is_uid(text):
        raise argparse.ArgumentTypeError("not a UID")
    return text


def _partition(text: str) -> str:
    if not PARTITION_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("not the name of a data partition")
    return text


if __name__ == "__main__":
    sys.exit(main())
