"""Which sources an ImagingStudy names for its instances."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.study import SeriesContent, StudyContent
from shared.fhir.validation import check_valid
from shared.mapping.moved import Addresses
from shared.mapping.sources import Shared, Source, holders_of, is_marked, united
from shared.model import DEFAULT_PARTITION, StudyKey
from shared.sync.delta import PatientContent, StudyDelta
from shared.sync.holders import Known, shared_by
from tests.unit.datasets import instance_dataset, key

SERVICE, OTHER = "https://dicom.example.org/", "https://pacs.example.org/"
DEFAULT, ONE, TWO, PACS = Source(SERVICE), Source(SERVICE, "one"), Source(SERVICE, "two"), Source(OTHER)
SOURCES = (DEFAULT, ONE, TWO, PACS)
KEYS = [key(series, number) for series in (1, 2) for number in (1, 2, 3)]
ENDPOINT = "Endpoint/e1"
URL = "urn:dicom-fhir-sync:source"


def study(*keys, source=SERVICE):
    series = {}
    for one in sorted(keys):
        sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.3"}
        series.setdefault(one.series_instance_uid, []).append({"uid": one.sop_instance_uid, "sopClass": sop_class})
    endpoint = [{"reference": ENDPOINT}, {"reference": "Endpoint/theirs"}]
    rows = [
        {"uid": uid, "modality": {"code": "CT"}, "endpoint": endpoint, "instance": ones} for uid, ones in series.items()
    ]
    subject = {"reference": "Patient/p"}
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": source},
        "status": "available",
        "subject": subject,
        "endpoint": endpoint,
        "series": rows,
    }


def marked(holders, source=DEFAULT):
    names = {one: frozenset(each.name for each in those) for one, those in holders.items()}
    return Shared(source, names, {}).marked(study(*holders), ENDPOINT)


def extensions(element):
    return [row["valueUri"] for row in element.get("extension", [])]


def test_the_default_partition_names_no_source():
    found = marked(dict.fromkeys(KEYS, (DEFAULT,)))
    assert found == study(*KEYS)
    assert not is_marked(found)


def test_only_what_differs_is_named():
    holders = {key(1, 1): [ONE], key(1, 2): [ONE, TWO], key(2, 1): [ONE, TWO]}
    found = marked(holders)
    assert extensions(found) == [ONE.name, TWO.name] == [f"{SERVICE}#one", f"{SERVICE}#two"]
    assert [extensions(series) for series in found["series"]] == [[], []]
    assert [extensions(row) for series in found["series"] for row in series["instance"]] == [[ONE.name], [], []]
    check_valid(found)


def test_the_endpoint_goes_from_what_its_service_has_no_more():
    found = marked({key(1, 1): [PACS], key(2, 1): [ONE, PACS]})
    theirs = {"reference": "Endpoint/theirs"}
    assert [series["endpoint"] for series in found["series"]] == [[theirs], [{"reference": ENDPOINT}, theirs]]
    assert found["endpoint"] == [{"reference": ENDPOINT}, theirs]


def test_extensions_of_others_stay():
    other = {"url": "urn:x", "valueString": "y"}
    stored = study(key(1, 1)) | {"extension": [other, {"url": URL, "valueUri": ONE.name}]}
    found = Shared(TWO, {key(1, 1): frozenset([TWO.name])}, {}).marked(stored, ENDPOINT)
    assert found["extension"] == [other, {"url": URL, "valueUri": TWO.name}]


@given(
    st.dictionaries(st.sampled_from(KEYS), st.sets(st.sampled_from(SOURCES), min_size=1), min_size=1),
    st.sampled_from(SOURCES),
)
def test_what_is_named_is_read_again(holders, source):
    found = marked(holders, source)
    names = {one: frozenset(each.name for each in those) for one, those in holders.items()}
    assert holders_of(found) == names
    assert Shared(source, names, {}).marked(found, ENDPOINT) == found


@given(
    st.lists(st.tuples(st.sampled_from(SOURCES), st.sampled_from(KEYS), st.booleans()), max_size=30),
)
def test_an_instance_stays_as_long_as_a_source_has_it(events):
    holders, truth = {}, {}
    for source, one, is_there in events:
        there, gone = ([one], []) if is_there else ([], [one])
        holders = united(holders, source, there, gone)
        (truth.setdefault(one, set()).add if is_there else truth.setdefault(one, set()).discard)(source.name)
    assert holders == {one: names for one, names in truth.items() if names}


def test_the_first_partition_by_name_provides_the_values():
    both, mine = key(1, 1), key(2, 1)
    names = frozenset([ONE.name, TWO.name, PACS.name])
    rows = {one: instance_dataset(*numbers) for one, numbers in ((both, (1, 1)), (mine, (2, 1)))}
    content = StudyContent(
        {"description": rows[both]},
        {
            one.series_instance_uid: SeriesContent({"number": row}, {one.sop_instance_uid: row})
            for one, row in rows.items()
        },
    )
    shared = Shared(TWO, {both: names, mine: frozenset([TWO.name])}, {})
    found = shared.represented(content)
    assert (found.elements, found.requests) == ({}, None)
    assert found.series[both.series_instance_uid] == SeriesContent({}, {})
    assert found.series[mine.series_instance_uid] == content.series[mine.series_instance_uid]
    first = Shared(ONE, {both: names, mine: frozenset([ONE.name])}, {})
    assert first.represented(content) == content


class Fhir:
    """Every Endpoint that a study refers to has this address."""

    def __init__(self, address):
        self.address = address

    async def find(self, _identity):
        return None

    async def read_each(self, references):
        return [{"resourceType": "Endpoint", "id": "1", "address": self.address} for _ in references]


@pytest.mark.parametrize("odd", ["https://[", "http://host:port/", "https://host:99999/"])
async def test_sources_and_addresses_of_others_that_are_no_urls(odd):
    known = Known(StudyKey(DEFAULT_PARTITION, "1.2"), {}, adopted=True)
    delta = StudyDelta(StudyContent({}, {}), PatientContent(), frozenset(), {})
    found = await shared_by(None, Fhir(odd), Addresses(SERVICE), known, study(key(1, 1), source=odd), delta)
    assert found is None


def test_of_a_study_of_somebody_else_only_our_reference_to_the_endpoint_goes():
    theirs, ours = {"reference": ENDPOINT}, {"id": "dicom-endpoint", "reference": ENDPOINT}
    stored = study(key(1, 1), key(2, 1), source="https://records.example.org/")
    stored["series"][1]["id"] = "dicom-1.2.3"  # within a series that was added nothing else is marked
    for rows, left in (([theirs], [theirs]), ([ours], None)):
        for element in (stored, *stored["series"]):
            element["endpoint"] = rows
        found = Shared(ONE, {}, {}).marked(stored, ENDPOINT, is_theirs=True)
        assert [one.get("endpoint") for one in (found, *found["series"])] == [left, left, None]
