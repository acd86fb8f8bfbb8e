"""In which order Observations are deleted. Servers that keep references whole refuse what is still referred to, and a
large removal takes several bundles.
"""

from shared.fhir.identifiers import by_identifier
from shared.fhir.systems import DICOM_UID
from shared.mapping.dose.observations import DoseContent
from shared.mapping.observation_layer import DoseLinks
from shared.sync.observations import plan_observations, plan_removal
from tests.unit.dose.reports import STUDY, ct_report, mapped, resource

IDENTITY = by_identifier("ImagingStudy", DICOM_UID, f"urn:oid:{STUDY}")
LINKS = DoseLinks("ImagingStudy/1", "Patient/1")


class Stored:
    """A report of two events, and a twin of its summary; ids in such an order that the events come first."""

    def __init__(self):
        made = [resource(one) for one in mapped(ct_report([1, 2])).observations]
        events = [one for one in made if one["code"]["coding"][0]["code"] == "113852"]
        (summary,) = [one for one in made if one not in events]
        members = [{"reference": f"Observation/{number}"} for number in range(len(events))]
        self.rows = [{**one, "id": str(number)} for number, one in enumerate(events)]
        self.rows += [{**summary, "hasMember": members, "id": name} for name in ("8", "9")]

    async def having(self, _):
        return self.rows


def deleted(entries):
    return [entry.url for entry in entries if entry.method == "DELETE"]


async def test_summaries_go_before_their_events():
    assert deleted(await plan_removal(Stored(), IDENTITY)) == [f"Observation/{number}" for number in (8, 9, 0, 1)]


async def test_so_they_do_where_the_study_stays():
    plan = await plan_observations(Stored(), IDENTITY, DoseContent([], {}), (), LINKS, is_new=False)
    assert deleted(plan.entries) == [f"Observation/{number}" for number in (8, 9, 0, 1)]
