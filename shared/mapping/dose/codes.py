"""Pure: the concepts of radiation dose reports (PS3.16 TID 10001, 10011, 10021 and what they include), as data.

What becomes a component, under which code and in which unit, is that of the HL7 guide (Radiation Dose Summary for
Diagnostic Procedures on FHIR, 1.0.0: https://hl7.org/fhir/uv/radiation-dose-summary/, background). Meanings are those
of PS3.16 annex D, and of the guide for codes of SNOMED CT.
"""

from dataclasses import dataclass
from enum import Enum, auto

from shared.dicom.content_tree import Concept
from shared.fhir.systems import CODING_SCHEMES, DCM, SNOMED_CT


def _dcm(code: str) -> Concept:
    return Concept("DCM", code)


def _snomed(ct: str, rt: str) -> tuple[Concept, ...]:
    """Both codes of a SNOMED concept (PS3.16 annex O)."""
    return Concept("SCT", ct), Concept("SRT", rt)


class Kind(Enum):
    """How a value is read and written."""

    QUANTITY = auto()
    INTEGER = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of value: its concepts in reports, the first of which is the component's code too.

    `keyword` names it in findings, `unit` is the one it is written in, `under` are items that may hold it.
    """

    keyword: str
    display: str
    concepts: tuple[Concept, ...]
    kind: Kind
    unit: str = ""
    under: tuple[Concept, ...] = ()

    @property
    def coding(self) -> dict[str, str]:
        """Coding of the component's code."""
        scheme, code = self.concepts[0]
        return {"system": CODING_SCHEMES[scheme], "code": code, "display": self.display}


def _quantity(code: str, keyword: str, display: str, unit: str, *under: Concept) -> Row:
    return Row(keyword, display, (_dcm(code),), Kind.QUANTITY, unit, under)


def _integer(code: str, keyword: str, display: str) -> Row:
    return Row(keyword, display, (_dcm(code),), Kind.INTEGER)


# document titles
X_RAY_REPORT = _dcm("113701")  # TID 10001 and 10011
NUCLEAR_REPORT = _dcm("113500")  # TID 10021

# containers
ACCUMULATED_X_RAY = _dcm("113702")  # TID 10002, one per plane
ACCUMULATED_CT = _dcm("113811")  # TID 10012
CT_DOSE = _dcm("113829")  # within TID 10013
ADMINISTRATION = _dcm("113502")  # TID 10022
EVENTS = (_dcm("113706"), _dcm("113819"), ADMINISTRATION)  # TID 10003, 10013, 10022

# what tells values of one concept apart
ACQUISITION_PLANE = _dcm("113764")
LATERALITY = _snomed("272741003", "G-C171")
PHANTOM = _dcm("113835")
LEFT_BREAST, RIGHT_BREAST, BOTH_BREASTS = "left breast", "right breast", "both breasts"
SIDES = {
    **dict.fromkeys((*_snomed("80248007", "T-04030"), *_snomed("7771000", "G-A101")), LEFT_BREAST),
    **dict.fromkeys((*_snomed("73056007", "T-04020"), *_snomed("24028007", "G-A100")), RIGHT_BREAST),
    **dict.fromkeys((*_snomed("63762007", "T-04080"), *_snomed("51440002", "G-A102")), BOTH_BREASTS),
}
QUALIFIERS = {
    _dcm("113620"): "Plane A",
    _dcm("113621"): "Plane B",
    _dcm("113622"): "",  # Single Plane
    _dcm("113690"): "IEC Head Dosimetry Phantom",
    _dcm("113691"): "IEC Body Dosimetry Phantom",
    **SIDES,
}

# who, when, which
EVENT_UID = (_dcm("113769"), _dcm("113503"))
START_OF_IRRADIATION = _dcm("113809")
EVENT_START = {_dcm("111526"): "DatetimeStarted", _dcm("123003"): "RadiopharmaceuticalStartDatetime"}
TARGET_REGION = _dcm("123014")
PERSON_NAME = _dcm("113870")  # TID 1020
PERSON_ID = _dcm("113871")
PERSON_ROLE = _dcm("113875")
IRRADIATION_AUTHORIZING = _dcm("113850")
DEVICE_ROLE = _dcm("113876")  # TID 1021
IRRADIATING_DEVICE = _dcm("113859")
DEVICE_UID = _dcm("121012")  # TID 1004, and TID 1021
DEVICE_NAME = (_dcm("113877"), _dcm("121013"))  # of TID 1021 and TID 1004, as those that follow
DEVICE_MANUFACTURER = (_dcm("113878"), _dcm("121014"))
DEVICE_MODEL = (_dcm("113879"), _dcm("121015"))
DEVICE_SERIAL_NUMBER = (_dcm("113880"), _dcm("121016"))

# the guide's ProcedureReportedTypeVS
PROCEDURE_REPORTED = Row("ProcedureReported", "Procedure reported", (_dcm("121058"),), Kind.CODE)
COMPUTED_TOMOGRAPHY = {"system": SNOMED_CT, "code": "77477000", "display": "Computed Tomography X-Ray"}
MAMMOGRAPHY = {"system": SNOMED_CT, "code": "71651007", "display": "Mammography"}
PROJECTION_X_RAY = {"system": DCM, "code": "113704", "display": "Projection X-Ray"}
NUCLEAR_MEDICINE = {"system": DCM, "code": "113502", "display": "Radiopharmaceutical Administration"}
PROCEDURES = {
    **dict.fromkeys(_snomed("77477000", "P5-08000"), COMPUTED_TOMOGRAPHY),
    **dict.fromkeys(_snomed("71651007", "P5-40010"), MAMMOGRAPHY),
    _dcm("113704"): PROJECTION_X_RAY,
    _dcm("113502"): NUCLEAR_MEDICINE,
}

X_RAY_TOTALS = (
    _quantity("113813", "CTDoseLengthProductTotal", "CT Dose Length Product Total", "mGy.cm"),
    _integer("113812", "TotalNumberOfIrradiationEvents", "Total Number of Irradiation Events"),
    _quantity("113722", "DoseAreaProductTotal", "Dose Area Product Total", "mGy.cm2"),
    _quantity("113725", "DoseRPTotal", "Dose (RP) Total", "mGy"),
    _quantity("113726", "FluoroDoseAreaProductTotal", "Fluoro Dose Area Product Total", "mGy.cm2"),
    _quantity("113727", "AcquisitionDoseAreaProductTotal", "Acquisition Dose Area Product Total", "mGy.cm2"),
    _quantity("113730", "TotalFluoroTime", "Total Fluoro Time", "s"),
    _integer("113731", "TotalNumberOfRadiographicFrames", "Total Number of Radiographic Frames"),
    _quantity("111637", "AccumulatedAverageGlandularDose", "Accumulated Average Glandular Dose", "mGy"),
)
AGENT = _snomed("349358000", "F-61FDB")
ACTIVITY = _quantity("113507", "AdministeredActivity", "Administered activity", "MBq")
NUCLEAR_TOTALS = (
    ACTIVITY,
    Row("RadiopharmaceuticalAgent", "Radiopharmaceuticals", AGENT, Kind.CODE),
    Row("Radionuclide", "Radioisotope", _snomed("89457008", "C-10072"), Kind.CODE, under=AGENT),
    _quantity("123005", "RadiopharmaceuticalVolume", "Radiopharmaceutical Volume", "cm3"),
    Row("RouteOfAdministration", "Route of administration", _snomed("410675002", "G-C340"), Kind.CODE),
)
EVENT_VALUES = (
    _quantity("113830", "MeanCtdivol", "Mean CTDIvol", "mGy", CT_DOSE),
    Row("CtdiwPhantomType", "CTDIw Phantom Type", (PHANTOM,), Kind.CODE, under=(CT_DOSE,)),
    _quantity("113838", "DLP", "DLP", "mGy.cm", CT_DOSE),
    Row("IrradiationEventType", "Irradiation Event Type", (_dcm("113721"),), Kind.CODE),
    _quantity("122130", "DoseAreaProduct", "Dose Area Product", "mGy.cm2"),
    _quantity("113738", "DoseRP", "Dose (RP)", "mGy"),
    _quantity("111631", "AverageGlandularDose", "Average Glandular Dose", "mGy"),
    _quantity("113742", "IrradiationDuration", "Irradiation Duration", "s"),
    ACTIVITY,
)
