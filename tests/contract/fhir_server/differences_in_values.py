"""Probes of values at the edge of what R4 allows."""

import json

from tests.contract.fhir_server.differences import differs
from tests.contract.fhir_server.requests import SYSTEM, create, found, patient, study, unique

KEPT = "kept"


def _element(fhir, resource, *path):
    """`kept`, what became of the value, or the status that refused it."""
    answer = fhir.post(f"/{resource['resourceType']}", json=resource)
    if answer.status_code != 201:
        return str(answer.status_code)
    sent, stored = resource, fhir.get(f"/{resource['resourceType']}/{answer.json()['id']}").json()
    for part in path:
        sent = sent[part]
        try:
            stored = stored[part]
        except (KeyError, IndexError):
            return "dropped"
    return KEPT if stored == sent else f"`{stored}`"


def _started(fhir, text):
    return _element(fhir, study(started=text), "started")


def _family(fhir, text):
    return _element(fhir, patient(name=[{"family": text, "given": ["a"]}]), "name", 0, "family")


def _decimal(fhir, text):
    """The decimal as it stands in the server's answer."""
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "a value"}}
    body = json.dumps({**observation, "valueQuantity": {"value": 0}}).replace('"value": 0', f'"value": {text}')
    answer = fhir.post("/Observation", content=body)
    if answer.status_code != 201:
        return str(answer.status_code)
    stored = json.loads(answer.content, parse_float=str, parse_int=str)["valueQuantity"]["value"]
    return KEPT if stored == text else f"`{stored}`"


@differs(KEPT, KEPT, "400", "R4 allows it, .NET has no such time")
def second_60(fhir):
    return _started(fhir, "2016-12-31T23:59:60Z")


@differs(KEPT, KEPT, "400", "DICOM has six at most")
def nine_digits_of_a_second(fhir):
    return _started(fhir, "2020-01-01T10:11:12.123456789Z")


@differs(KEPT, KEPT, "400", "outside the range of .NET")
def moment_after_the_year_9999_in_utc(fhir):
    return _started(fhir, "9999-12-31T23:59:59-12:00")


@differs(KEPT, KEPT, "400", "outside the range of .NET")
def moment_before_the_year_1_in_utc(fhir):
    return _started(fhir, "0001-01-01T00:00:00+14:00")


@differs("400", KEPT, KEPT, "R4 forbids it; the app sends none")
def negative_number_of_instances(fhir):
    return _element(fhir, study(numberOfInstances=-1), "numberOfInstances")


@differs(KEPT, KEPT, "`X`", "R4 wants none there; the app sends none")
def string_with_blanks_at_its_ends(fhir):
    return _family(fhir, " X ")


@differs("400", "dropped", "dropped", "R4 forbids it; the app sends none")
def string_of_blanks(fhir):
    return _family(fhir, " ")


@differs("400", KEPT, KEPT, "R4 forbids it; the app sends none")
def control_character(fhir):
    return _family(fhir, "X\u0001Y")


@differs(KEPT, "400", "400", "Medplum does not check required bindings; the app checks before it sends")
def code_that_r4_does_not_have(fhir):
    return _element(fhir, patient(gender="x"), "gender")


@differs("400", "dropped", "400", "the app checks before it sends")
def element_that_r4_does_not_have(fhir):
    return _element(fhir, patient(nonsense="x"), "nonsense")


@differs("with the blank", "either way", "without the blank", "identifiers are sent without blanks at their ends")
def identifier_with_a_blank_before_it(fhir):
    value = unique()
    create(fhir, patient(f" {value}"))
    ways = {"without": value, "with": f" {value}"}
    hits = [way for way, text in ways.items() if found(fhir, "Patient", identifier=f"{SYSTEM}|{text}")]
    return f"{hits[0]} the blank" if len(hits) == 1 else f"{'either' if hits else 'no'} way"


@differs("`1.5`", KEPT, KEPT, "Medplum reads decimals as JavaScript does")
def decimal_1_50(fhir):
    return _decimal(fhir, "1.50")


@differs("`1.2345678901234568e+29`", KEPT, "400", "no double has so many")
def decimal_of_30_digits(fhir):
    return _decimal(fhir, "123456789012345678901234567890")


@differs("`1e-29`", KEPT, "`0.0000000000000000000000000000`", ".NET decimals have 28 places")
def decimal_with_29_places(fhir):
    return _decimal(fhir, "0.00000000000000000000000000001")
