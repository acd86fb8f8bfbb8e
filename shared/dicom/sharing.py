"""What the datasets of an answer have in common is kept once: those of a series say mostly the same. Without it the
metadata of a study of 10,000 instances take several hundred megabytes.
"""

from typing import Any

SOP_INSTANCE_UID = "00080018"
SERIES_INSTANCE_UID = "0020000E"
# what nothing is mapped from and what can have megabytes for one instance: Per-frame Functional Groups Sequence, and
# private attributes, whose group is odd (PS3.5 7.8)
PER_FRAME = "52009230"
ODD = frozenset("13579BDFbdf")


class Sharing:
    """A hook for json.loads (`object_hook`). An element that equals the one of the dataset before becomes that one, and
    what nothing is mapped from is dropped. The dataset before is one of the same series, where there is one: services
    hand out series one after another or in turn.

    Datasets are read and never changed. Numbers are compared as such: JSON does not tell 1 from 1.0 (RFC 8259).
    """

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._by_series: dict[str, dict[str, Any]] = {}

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        """Takes elements, items of sequences and names, too, and leaves them alone."""
        if SOP_INSTANCE_UID in found:
            series = repr(found.get(SERIES_INSTANCE_UID))
            before, unread = self._by_series.get(series, self._before), []
            for tag, element in found.items():
                if tag == PER_FRAME or tag[3:4] in ODD:
                    unread.append(tag)
                elif tag in before and before[tag] == element:
                    found[tag] = before[tag]
            for tag in unread:
                del found[tag]
            self._before = self._by_series[series] = found
        return found
