"""What becomes of single reports: which are read, what is left out, what tells values apart."""

import pytest

from shared.mapping.dose.observations import is_dose_report, map_reports, may_be_dose_report
from tests.unit.datasets import codes, dataset
from tests.unit.dose.reports import (
    CT,
    ENHANCED_SR,
    STUDY,
    accumulated,
    code,
    coded,
    container,
    ct_event,
    ct_report,
    dose_report,
    empty_num,
    event_uid,
    events,
    item,
    mapped,
    nuclear_report,
    num,
    plane,
    quantities,
    report_uid,
    summary,
    text,
    uid,
    x_ray_event,
)

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
ENHANCED_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.76"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, True),
        ({"title": "113500"}, True),
        ({"SOPClassUID": ENHANCED_SR}, True),
        ({"title": "LN:18748-4"}, False),
        ({"title": "99SMS_RADSUM:113701"}, False),
        ({"ConceptNameCodeSequence": []}, False),
        ({"SOPClassUID": None}, False),
        ({"SOPClassUID": KEY_OBJECTS}, False),
        ({"SOPClassUID": ENHANCED_DOSE_SR}, False),
        ({"SOPClassUID": CT_IMAGE}, False),
    ],
)
def test_a_dose_report_is_told_by_class_and_title(attributes, expected):
    report = dose_report(**attributes)
    assert is_dose_report(report) is expected
    assert (mapped(report).observations != ()) is expected


@pytest.mark.parametrize("garbage", [None, [], "report", 5, {}])
def test_what_is_no_dataset_is_no_report(garbage):
    assert is_dose_report(garbage) is False
    assert map_reports([garbage], STUDY, "", with_events=True).observations == ()


def test_classes_that_may_be_reports():
    assert may_be_dose_report(ENHANCED_SR)
    assert not may_be_dose_report(CT_IMAGE)
    assert not may_be_dose_report("")


@pytest.mark.parametrize("sop_instance_uid", [None, "report"])
def test_a_report_without_a_uid_is_left_out(sop_instance_uid):
    content = mapped(dose_report(SOPInstanceUID=sop_instance_uid))
    assert (content.observations, content.findings) == ((), {})


def test_the_study_is_the_one_that_is_asked_for():
    scope = code("113705", "113014", uid("110180", "1.2.3"))
    found, _ = summary(dose_report(scope, StudyInstanceUID="1.2.4"))
    assert [row["value"] for row in found.elements["identifier"]][1] == f"urn:oid:{STUDY}"
    assert found.elements["partOf"][0]["identifier"] == found.elements["identifier"][1]


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ({"AccessionNumber": "A1"}, "A1"),
        ({"ReferencedRequestSequence": [dataset(AccessionNumber="A2")]}, "A2"),
        ({"AccessionNumber": "A1", "ReferencedRequestSequence": [dataset(AccessionNumber="A2")]}, "A1"),
        ({"ReferencedRequestSequence": [dataset(AccessionNumber=None), dataset(AccessionNumber="A3")]}, "A3"),
        ({"ReferencedRequestSequence": []}, None),
    ],
)
def test_accession_number(attributes, number):
    elements = summary(dose_report(**attributes))[0].elements
    numbers = [row["value"] for row in elements["identifier"] if "system" not in row]
    based_on = [row["identifier"]["value"] for row in elements.get("basedOn", [])]
    assert numbers == based_on == ([number] if number else [])


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (dose_report(procedure="SRT:P5-08000"), ("http://snomed.info/sct", "77477000")),
        (dose_report(procedure="SCT:77477000"), ("http://snomed.info/sct", "77477000")),
        (dose_report(procedure="SNM3:P5-40010"), ("http://snomed.info/sct", "71651007")),
        (dose_report(procedure="113704"), ("http://dicom.nema.org/resources/ontology/DCM", "113704")),
        (
            nuclear_report(code("SRT:G-C2D0", "SRT:P5-0A00A")),
            ("http://dicom.nema.org/resources/ontology/DCM", "113502"),
        ),
        (dose_report(procedure="SRT:P5-06000"), ("http://snomed.info/sct", "44491008")),
    ],
)
def test_procedure_reported(report, expected):
    component = summary(report)[0].elements["component"][0]
    (coding,) = component["valueCodeableConcept"]["coding"]
    assert component["code"]["coding"][0]["code"] == "121058"
    assert (coding["system"], coding["code"]) == expected


def test_a_procedure_that_has_no_code():
    unknown = dose_report(procedure="SRT:de")
    assert summary(unknown)[0].elements["component"][0]["valueCodeableConcept"] == {"text": "meaning"}
    assert "component" not in summary(dose_report(procedure=None))[0].elements


def test_no_values_are_said_to_be_none():
    elements = summary(dose_report(accumulated(empty_num("113722"), empty_num("113725"))))[0].elements
    assert elements["valueString"] == "No dose values were reported"
    assert len(elements["component"]) == 1


def test_empty_values_are_left_out_and_zero_is_not():
    found, findings = summary(
        dose_report(accumulated(empty_num("113722"), num("113725", [], "Gy"), num("113731", "0.00", "1")))
    )
    assert (quantities(found), findings) == ([("113731", None, 0, None)], [])


def test_numbers_that_are_none_are_left_out():
    found, findings = summary(dose_report(accumulated(num("113722", "many", "Gy.m2"), num("113725", 1, "Gy"))))
    assert quantities(found) == [("113725", None, 1000, "mGy")]
    assert findings == [("DoseAreaProductTotal", "invalid-number")]


def test_an_unknown_unit_is_written_as_text():
    found, findings = summary(dose_report(accumulated(num("113725", 1, "R"))))
    assert found.elements["component"][1]["valueQuantity"] == {"value": 1, "unit": "R"}
    assert found.elements["valueString"].endswith("Dose (RP) Total: 1 R")
    assert findings == [("DoseRPTotal", "unknown-unit")]


def test_values_elsewhere_are_not_totals():
    report = dose_report(
        num("113813", 1, "mGy.cm"),
        container("113811", container("113900", num("113813", 2, "mGy.cm")), num("113814", 3, "mSv")),
        ct_event(1, num("113813", 4, "mGy.cm")),
        procedure=CT,
    )
    assert quantities(summary(report, with_events=False)[0]) == []


def test_totals_of_phantoms_are_told_apart():
    report = dose_report(
        container(
            "113811",
            num("113813", 30, "mGy.cm"),
            num("113813", 10, "mGy.cm", code("113835", "113690")),
            num("113813", 20, "mGy.cm", code("113835", "113691")),
        )
    )
    name = "CT Dose Length Product Total"
    assert [row[1:3] for row in quantities(summary(report)[0])] == [
        (None, 30),
        (f"{name}, IEC Head Dosimetry Phantom", 10),
        (f"{name}, IEC Body Dosimetry Phantom", 20),
    ]


@pytest.mark.parametrize(
    ("qualifier", "label"),
    [
        (code("SRT:G-C171", "SRT:T-04030"), "left breast"),
        (code("SCT:272741003", "SCT:73056007"), "right breast"),
        (code("SNM3:G-C171", "SRT:T-04080"), "both breasts"),
        (code("SRT:G-C171", "SRT:G-A101"), "left breast"),
        (code("SRT:G-C171", "99ACME:x", meaning="Left Breast"), "Left Breast"),
    ],
)
def test_breasts(qualifier, label):
    found, _ = summary(dose_report(accumulated(num("111637", 1, "mGy", qualifier))))
    assert quantities(found) == [("111637", f"Accumulated Average Glandular Dose, {label}", 1, "mGy")]


@pytest.mark.parametrize(
    "qualifier",
    [
        item("CODE", "SRT:G-C171"),
        item("CODE", "SRT:G-C171", ConceptCodeSequence=[]),
        text("SRT:G-C171", "left"),
    ],
)
def test_a_breast_that_is_not_said(qualifier):
    found, _ = summary(dose_report(accumulated(num("111637", 1, "mGy", qualifier))))
    assert quantities(found) == [("111637", None, 1, "mGy")]


def test_planes_that_nobody_names_are_numbered():
    report = dose_report(container("113702", num("113725", 1)), container("113702", num("113725", 2)))
    assert quantities(summary(report)[0]) == [
        ("113725", "Dose (RP) Total, 1 of 2", 1, "mGy"),
        ("113725", "Dose (RP) Total, 2 of 2", 2, "mGy"),
    ]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (code("SCT:349358000", "SCT:35321007", meaning="FDG"), "35321007"),
        (code("SRT:F-61FDB", "SRT:C-B1031", meaning="FDG"), "35321007"),
        (code("SRT:F-61FDB", "SRT:XX-1", meaning="FDG"), None),
        (code("99SDM:F-61FDB", "SRT:", meaning="FDG"), None),
        (text("SRT:F-61FDB", "FDG"), None),
    ],
)
def test_agent(agent, expected):
    component = summary(nuclear_report(agent))[0].elements["component"][1]
    assert component["code"]["coding"][0]["code"] == "349358000"
    value = component["valueCodeableConcept"]
    assert (value["text"], value.get("coding", [{}])[0].get("code")) == ("FDG", expected)


def test_a_radionuclide_beside_its_agent():
    report = nuclear_report(text("SRT:F-61FDB", "FDG"), code("SRT:C-10072", "SRT:C-111A1", meaning="F18"))
    assert summary(report)[0].elements["valueString"] == "No dose values were reported"
    names = [part["code"]["coding"][0]["code"] for part in summary(report)[0].elements["component"]]
    assert names == ["121058", "349358000", "89457008"]


def test_several_administrations_in_one_report():
    second = container("113502", uid("113503", event_uid(2)), num("113507", 2, "MBq"))
    report = nuclear_report(num("113507", 1, "MBq"))
    report["0040A730"]["Value"].append(second)
    assert [row[1:3] for row in quantities(summary(report)[0])] == [
        ("Administered activity, 1 of 2", 1),
        ("Administered activity, 2 of 2", 2),
    ]
    assert set(events(report)) == {event_uid(1), event_uid(2)}


def test_a_code_of_a_scheme_that_the_report_declares():
    declared = dataset(CodingSchemeDesignator="99ACME", CodingSchemeUID="1.2.3")
    report = nuclear_report(
        code("SRT:F-61FDB", "99ACME:fdg"),
        CodingSchemeIdentificationSequence=[declared],
    )
    value = summary(report)[0].elements["component"][1]["valueCodeableConcept"]
    assert value["coding"][0]["system"] == "urn:oid:1.2.3"


def test_events_without_a_dose_are_left_out():
    report = dose_report(
        ct_event(1),
        ct_event(2, dlp=None),
        container("113819", uid("113769", event_uid(3)), container("113829", code("113835", "113691"))),
        container("113706", uid("113769", event_uid(4)), empty_num("122130"), code("113721", "SRT:P5-06000")),
        container("113706", num("122130", 1, "Gy.m2")),
    )
    assert set(events(report)) == {event_uid(1)}
    assert summary(report)[0].members == (event_uid(1),)
    assert mapped(report, with_events=False).observations[0].members == ()


def test_an_event_with_a_uid_that_is_none():
    report = dose_report(x_ray_event(1), container("113706", uid("113769", "event"), num("122130", 1, "Gy.m2")))
    found, findings = summary(report)
    assert (found.members, findings) == ((event_uid(1),), [("IrradiationEventUID", "invalid-uid")])


def test_a_uid_as_text():
    assert set(events(dose_report(container("113819", text("113769", "1.2.3"), num("113838", 1, "mGy.cm"))))) == {
        "1.2.3"
    }


def test_values_of_an_x_ray_event():
    found = events(
        dose_report(
            x_ray_event(
                1,
                plane("113621"),
                num("113738", "0.00014", "Gy"),
                num("111631", 1.3, "mGy"),
                num("113742", 250, "ms"),
                num("113733", 77, "kV"),
                code("113721", "113611", meaning="Stationary Acquisition"),
            )
        )
    )[event_uid(1)]
    assert quantities(found) == [
        ("122130", "Dose Area Product, Plane B", 10, "mGy.cm2"),
        ("113738", "Dose (RP), Plane B", 0.14, "mGy"),
        ("111631", "Average Glandular Dose, Plane B", 1.3, "mGy"),
        ("113742", "Irradiation Duration, Plane B", 0.25, "s"),
    ]
    assert found.elements["component"][0]["valueCodeableConcept"]["coding"][0]["code"] == "113611"


def test_an_event_on_both_planes():
    found = events(dose_report(x_ray_event(1, plane("113620")), x_ray_event(1, plane("113621"), dap="0.000002")))
    assert quantities(found[event_uid(1)]) == [
        ("122130", "Dose Area Product, Plane A", 10, "mGy.cm2"),
        ("122130", "Dose Area Product, Plane B", 20, "mGy.cm2"),
    ]


def test_dose_checks_and_sources_are_no_doses():
    alert = container("113900", num("113838", 900, "mGy.cm"), num("113904", 1000, "mGy"))
    dose = container("113829", num("113830", 1, "mGy"), num("113838", 2, "mGy.cm"), alert)
    sources = container("113822", container("113831", num("113830", 5)), container("113831", num("113830", 6)))
    report = dose_report(container("113819", uid("113769", event_uid(1)), sources, dose))
    assert [row[2] for row in quantities(events(report)[event_uid(1)])] == [1, 2]


def test_a_dose_that_is_said_twice():
    assert [
        row[2] for row in quantities(events(dose_report(ct_event(1, num("113838", 9, "mGy.cm"))))[event_uid(1)])
    ] == [
        1,
        10,
    ]


@pytest.mark.parametrize(
    ("region", "expected", "findings"),
    [
        (code("123014", "SNM3:T-15710", meaning="Hip joint"), ("24136001", "Hip joint"), []),
        (code("123014", "SRT:T-D400", meaning="Abdomen"), (None, "Abdomen"), [("CodeValue", "unknown-code")]),
        (item("CODE", "123014", ConceptCodeSequence=[coded("SRT:", "Other")]), (None, "Other"), []),
        (item("CODE", "123014", ConceptCodeSequence=[]), None, []),
        (item("CODE", "123014"), None, []),
        (text("123014", "Chest"), (None, "Chest"), []),
    ],
)
def test_target_region(region, expected, findings):
    report = dose_report(ct_event(1, region))
    site = events(report)[event_uid(1)].elements.get("bodySite")
    read = site and (site.get("coding", [{}])[0].get("code"), site["text"])
    assert (read, codes(mapped(report).findings[report_uid()])) == (expected, findings)


def test_names_and_ids_are_not_in_the_sentence():
    report = ct_report([1], PatientID="MRN-1", PatientName={"Alphabetic": "Doe^Jo"}, AccessionNumber="ACC1")
    words = " ".join(row.elements["valueString"] for row in mapped(report).observations)
    assert not any(secret in words for secret in ("MRN", "Doe", "ACC1", "1.2.826"))
