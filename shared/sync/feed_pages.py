"""Pages of the change feed, also where one cannot be read as it was asked for."""

from typing import Any

from shared.dicom.client import DicomClient
from shared.dicom.feed import Page, parse_page
from shared.errors import Unavailable
from shared.http import UNREADABLE
from shared.retry import TOO_LARGE


async def read_range(dicom: DicomClient, first: int, last: int) -> Page:
    """The rows of the feed from one sequence to another."""
    whole, after = Page([], [], {}), first - 1
    while after < last:
        page, after = await read_page(dicom, after, last)
        whole.entries.extend(page.entries)
        whole.malformed.extend(page.malformed)
        whole.there.update(page.there)
    return whole


async def read_page(dicom: DicomClient, after: int, last: int) -> tuple[Page, int]:
    """The rows of the feed in (after, last], and that last; where these cannot be read, a narrower page, down to the
    row at fault.
    """
    rows: list[Any] = [None]
    try:
        rows = await dicom.feed_page(after, last - after)
    except Unavailable as error:
        if error.code not in (UNREADABLE, TOO_LARGE):
            raise
        if last > after + 1:
            return await read_page(dicom, after, after + max(1, (last - after) // 10))
    return parse_page(rows, after, last), last
