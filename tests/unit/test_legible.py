"""Whose an instance is, as legibly as its character set allows."""

import pytest

from shared.dicom.values import Attributes
from shared.mapping.legible import doubt
from shared.mapping.patient import PatientRules
from tests.unit.datasets import dataset

ILLEGIBLE = ("PatientID", "illegible-identity")
SEVERAL = ("PatientID", "several-identities")


def doubted(charset, patient_id, rules=None, **attributes):
    given = dataset(PatientID=patient_id, **attributes)
    if charset is not None:
        given["00080005"] = {"vr": "CS", "Value": charset if isinstance(charset, list) else [charset]}
    found = doubt(Attributes(given), rules or PatientRules())
    return found and tuple(found.__getattribute__(name) for name in ("keyword", "code"))


@pytest.mark.parametrize(
    ("charset", "patient_id", "found"),
    [
        pytest.param(None, "M?l1", ILLEGIBLE, id="absent"),
        pytest.param([], "M?l1", ILLEGIBLE, id="empty"),
        pytest.param([None], "M?l1", ILLEGIBLE, id="null"),
        pytest.param("ISO_IR 6", "M?l1", ILLEGIBLE, id="ASCII"),
        pytest.param("FOO", "M?l1", ILLEGIBLE, id="unknown"),
        pytest.param("ISO_IR_100", "M?l1", ILLEGIBLE, id="misspelt"),
        pytest.param("UTF8", "M?l1", ILLEGIBLE, id="not a term"),
        pytest.param("ISO_IR 203", "M?l1", ILLEGIBLE, id="not known to the service"),
        pytest.param("GB18030", "M?", ILLEGIBLE, id="GB18030, whose substitute it is"),
        pytest.param([None, "ISO 2022 IR 87"], "M?l1", ILLEGIBLE, id="code extensions"),
        pytest.param(["ISO_IR 100", "ISO 2022 IR 58"], "M?l1", ILLEGIBLE, id="Latin-1 with code extensions"),
        pytest.param("ISO_IR 192", "M\ufffdl1", ILLEGIBLE, id="UTF-8 that is not"),
        pytest.param("ISO_IR 100", "M\ufffdl1", ILLEGIBLE, id="replacement character anywhere"),
        pytest.param("ISO_IR 13", "M\u30fb1", ILLEGIBLE, id="katakana, whose substitute it is"),
        pytest.param(None, "A\x1b$1", ILLEGIBLE, id="ESC, which FHIR cannot hold"),
        pytest.param("ISO_IR 192", "A\ud8001", ILLEGIBLE, id="half of a character"),
        pytest.param("ISO_IR 192", "A1\0 ", None, id="padded"),
        pytest.param("ISO_IR 192", "What?", None, id="UTF-8"),
        pytest.param("ISO_IR 100", "What?", None, id="Latin-1"),
        pytest.param(" ISO_IR 144", "What?", None, id="Cyrillic, padded"),
        pytest.param("ISO_IR 192", "M\u30fb1", None, id="a middle dot in UTF-8"),
        pytest.param(None, "MRN-0001", None, id="absent, and nothing to doubt"),
        pytest.param("FOO", "MRN-0001", None, id="unknown, and nothing to doubt"),
        pytest.param("ISO_IR 192", ["100", "200"], SEVERAL, id="several values"),
        pytest.param("ISO_IR 192", ["100", ""], SEVERAL, id="several values, one empty"),
        pytest.param("ISO_IR 192", None, None, id="no PatientID: that is another matter"),
    ],
)
def test_doubt(charset, patient_id, found):
    assert doubted(charset, patient_id) == found


def test_the_issuer_counts_where_it_is_the_system():
    rules = PatientRules(issuer_is_system=True)
    assert doubted(None, "1", rules, IssuerOfPatientID="K?ln") == ("IssuerOfPatientID", "illegible-identity")
    assert doubted(None, "1", IssuerOfPatientID="K?ln") is None
