"""Pure: coded entries (PS3.3 8.8) as Coding and CodeableConcept (https://hl7.org/fhir/R4/datatypes.html#CodeableConcept).

A code gets a system only where the system is known: what is written under a wrong one is worse than a text.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from shared.dicom.content_tree import CODE_KEYWORDS, SNOMED_RT
from shared.dicom.values import Attributes
from shared.fhir.systems import CODING_SCHEMES, DCM, SNOMED_CT
from shared.mapping.modality import MODALITIES

Element = dict[str, Any]
Systems = Mapping[str, str]

NO_SYSTEMS: Systems = MappingProxyType({})
# published in the same table of PS3.16 annex O, not in pydicom 3.0.2
SNOMED_RT_ADDED = {"F-61FDB": "349358000"}
# an SCTID has 6 to 18 digits (https://hl7.org/fhir/R4/snomedct.html); codes of SNOMED RT have letters
SNOMED_CT_ID = re.compile(r"[1-9]\d{5,17}", re.ASCII)
DCM_NUMBER = re.compile(r"1\d{5}", re.ASCII)
# https://hl7.org/fhir/R4/datatypes.html#oid
OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
# PS3.16 table 8-1: UIDs of coding schemes that have a FHIR system of their own
UID_SYSTEMS = {
    "1.2.840.10008.2.16.4": "DCM",
    # HL7's own for DCM, which the table calls deprecated
    "2.16.840.1.113883.6.31": "DCM",
    "1.2.840.10008.2.6.1": "DCMUID",
    "2.16.840.1.113883.6.96": "SCT",
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.8": "UCUM",
    "2.16.840.1.113883.6.256": "RADLEX",
    "2.16.840.1.113883.6.12": "C4",
    "2.16.840.1.113883.6.2": "I9C",
    "2.16.840.1.113883.6.3": "I10",
    "2.16.840.1.113883.6.90": "I10C",
    "2.16.1": "ISO3166_1",
    "2.16.840.1.113883.3.26.1.1": "NCIt",
    "2.16.840.1.113883.6.69": "NDC",
    "2.16.840.1.113883.6.121": "RFC3066",
    "2.16.840.1.113883.6.316": "RFC5646",
    "2.16.840.1.113883.6.88": "RXNORM",
    "2.16.840.1.113883.6.86": "UMLS",
}


def concepts(attributes: Attributes, keyword: str, declared: Systems = NO_SYSTEMS) -> list[Element]:
    """A Code Sequence as CodeableConcepts; items that say nothing are left out."""
    found = (concept(item, declared) for item in attributes.items(keyword))
    return [element for element in found if element is not None]


def concept(item: Attributes, declared: Systems = NO_SYSTEMS) -> Element | None:
    """One coded entry as CodeableConcept: its Coding where a code can be written, and Code Meaning as text."""
    one = coding(item, declared)
    text = item.text("CodeMeaning")
    element = {"coding": [one] if one else None, "text": text}
    return {name: value for name, value in element.items() if value} or None


def coding(item: Attributes, declared: Systems = NO_SYSTEMS) -> Element | None:
    """One coded entry as Coding.

    SNOMED RT codes become SNOMED CT where the correspondence is published, otherwise there is none. A code of a scheme
    that has no URI known here, nor one that the dataset declares, stands without a system. There is none either where
    DICOM does not define the code in its own scheme.
    """
    code = next((" ".join(text.split()) for text in map(item.text, CODE_KEYWORDS) if text), None)
    scheme = item.text("CodingSchemeDesignator") or ""
    if code is None:
        return None
    system = SNOMED_CT if scheme in SNOMED_RT else CODING_SCHEMES.get(scheme) or declared.get(scheme)
    if scheme in SNOMED_RT or (system == SNOMED_CT and not SNOMED_CT_ID.fullmatch(code)):
        code = snomed_ct_of(code)
        if code is None:
            item.find("CodeValue", "unknown-code")
            return None
    if system == DCM and not _is_of_dicom(code):
        item.find("CodeValue", "unknown-code")
        return None
    elements = {"system": system, "code": code, "display": item.text("CodeMeaning")}
    return {name: value for name, value in elements.items() if value}


def _is_of_dicom(code: str) -> bool:
    """Whether PS3.16 annex D can have the code: six digits, or one of its words. No table of all numbers is at hand."""
    return bool(DCM_NUMBER.fullmatch(code)) or code in _words_of_dicom()


@cache
def _words_of_dicom() -> frozenset[str]:
    table: Mapping[str, Mapping[str, object]] = import_module("pydicom.sr._concepts_dict").concepts["DCM"]
    return MODALITIES | {code for by_name in table.values() for code in by_name}


def declared_systems(attributes: Attributes) -> Systems:
    """Designator -> system, by the Coding Scheme Identification Sequence (PS3.3 C.12.1) of a dataset."""
    systems = {}
    for item in attributes.items("CodingSchemeIdentificationSequence"):
        designator, uid = item.text("CodingSchemeDesignator"), item.uid("CodingSchemeUID")
        if designator and uid and OID.fullmatch(uid) and designator not in SNOMED_RT:
            systems[designator] = CODING_SCHEMES.get(UID_SYSTEMS.get(uid, "")) or f"urn:oid:{uid}"
    return systems


def snomed_ct_of(code: str) -> str | None:
    """The SNOMED CT concept of a SNOMED RT code (PS3.16 annex O); None where none is published.

    It is the concept that the code was of: T-D4000 is 113345001, although annex L now takes 818981001 for ABDOMEN.
    """
    return SNOMED_RT_ADDED.get(code) or _snomed_rt().get(code)


@cache
def _snomed_rt() -> Mapping[str, str]:
    # large tables: loaded with the first such code, not when the app starts
    table: Mapping[str, str] = import_module("pydicom.sr._snomed_dict").mapping["SRT"]
    return table
