"""Which equipment irradiated, and who authorised it."""

import pytest

from shared.mapping.device import Equipment
from tests.unit.dose.reports import (
    accumulated,
    code,
    container,
    device,
    dose_report,
    event_uid,
    events,
    nuclear_report,
    person,
    summary,
    text,
    uid,
    x_ray_event,
)

MODULE = {"Manufacturer": "ACME", "ManufacturerModelName": "Station", "DeviceSerialNumber": "S1", "StationName": "A"}
OF_MODULE = Equipment("ACME", "Station", "S1", station="A")
OF_OBSERVER = Equipment("ACME", "Watch", "S9", station="B")


def _observer(serial_number="S9", manufacturer="ACME"):
    texts = [text("121013", "B"), text("121014", manufacturer), text("121015", "Watch")]
    return [*texts, *([text("121016", serial_number)] if serial_number else [])]


def _ray(serial_number):
    return Equipment("ACME", "Ray", serial_number)


@pytest.mark.parametrize(
    ("items", "module", "expected"),
    [
        pytest.param([], MODULE, OF_MODULE, id="content names none"),
        pytest.param([], {}, None, id="nobody names any"),
        pytest.param(_observer("S1"), MODULE, OF_MODULE, id="observer is that of the module"),
        pytest.param(_observer("S9"), MODULE, OF_OBSERVER, id="another observer"),
        pytest.param(_observer(None), MODULE, OF_MODULE, id="observer without serial number"),
        pytest.param(_observer("S9", ""), MODULE, None, id="another observer that cannot be identified"),
        pytest.param([*_observer("S1"), device("S2")], MODULE, _ray("S2"), id="irradiating device before observer"),
        pytest.param([device("S1")], MODULE, OF_MODULE, id="irradiating device is that of the module"),
        pytest.param([device("S2", concept="113858")], MODULE, OF_MODULE, id="another role"),
        pytest.param([code("113876", "113859"), *_observer("S9")], {}, OF_OBSERVER, id="role without a device"),
        pytest.param([accumulated(device("S2"))], MODULE, _ray("S2"), id="within the totals"),
        pytest.param([x_ray_event(number, device("S2")) for number in (1, 2)], MODULE, _ray("S2"), id="events agree"),
        pytest.param(
            [x_ray_event(number, device(f"S{number}")) for number in (2, 3)], MODULE, OF_MODULE, id="events disagree"
        ),
        pytest.param([uid("121012", "1.2.3")], {}, Equipment(device_uid="1.2.3"), id="UID alone"),
        pytest.param([text("121012", "1.2.3")], {}, Equipment(device_uid="1.2.3"), id="UID as text"),
        pytest.param([uid("121012", "1.2.3")], MODULE, OF_MODULE, id="UID alone, and module"),
        pytest.param([device(" S2 ", "AC  ME")], {}, Equipment("AC ME", "Ray", "S2"), id="white space"),
    ],
)
def test_equipment_of_the_report(items, module, expected):
    found, findings = summary(dose_report(*items, **module))
    assert (found.equipment, findings) == (expected, [])


def test_a_device_uid_that_is_none():
    found, findings = summary(dose_report(uid("121012", "11090"), **MODULE))
    assert (found.equipment, findings) == (OF_MODULE, [("DeviceObserverUID", "invalid-uid")])


def test_equipment_of_events():
    found = events(dose_report(x_ray_event(1, device("S2")), x_ray_event(2, device("S1")), x_ray_event(3), **MODULE))
    assert {uid: observation.equipment for uid, observation in found.items()} == {
        event_uid(1): _ray("S2"),
        event_uid(2): OF_MODULE,
        event_uid(3): OF_MODULE,
    }


UNKNOWN = {
    "type": "Practitioner",
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}],
}
ROE = {"PerformingPhysicianName": {"Alphabetic": "Roe^Jane"}}


def _person(**elements):
    return {"type": "Practitioner", **elements}


@pytest.mark.parametrize(
    ("items", "attributes", "expected"),
    [
        ([], {}, UNKNOWN),
        ([], ROE, _person(display="Jane Roe")),
        ([], {"PerformingPhysicianName": "Roe^Jane^^Prof"}, _person(display="Prof Jane Roe")),
        ([], {"PerformingPhysicianName": {"Ideographic": "山田^太郎"}}, _person(display="山田 太郎")),
        ([], {"PerformingPhysicianName": {"Alphabetic": "^^"}}, UNKNOWN),
        ([person("Nobody")], ROE, _person(display="Nobody")),
        ([person("Nobody", value_type="PERSON NAME")], ROE, _person(display="Nobody")),
        ([person("Aid", "113851")], ROE, _person(display="Jane Roe")),
        ([person("Aid", None), code("113875", "113850")], ROE, _person(display="Jane Roe")),
        ([person("", "113850", text("113871", "P1"))], ROE, _person(identifier={"value": "P1"})),
        ([person(""), person("Two")], ROE, _person(display="Two")),
        ([container("113819", person("Nurse"))], ROE, _person(display="Jane Roe")),
        (
            [container("113819", container("113829", container("113908", person("Nurse"))))],
            {},
            UNKNOWN,
        ),
    ],
)
def test_performer(items, attributes, expected):
    found, _ = summary(dose_report(*items, **attributes))
    assert found.elements["performer"] == [expected]


def test_who_administered_did_not_authorise():
    found, _ = summary(nuclear_report(person("Unknown", "113851")))
    assert found.elements["performer"] == [UNKNOWN]
