"""Pure: whether an instance says legibly, and once, whose it is. Identity is never guessed.

The DICOM service writes a substitute for each byte that it could not read, so the PatientIDs of two persons can become
one. Which one is by Specific Character Set (PS3.3 C.12.1.1.2); what stands here was seen of Microsoft's service:
`?` where the set is absent, unknown, misspelt or has code extensions, and for what GB18030 and GBK cannot read; U+30FB
in the Japanese sets; U+FFFD in ISO_IR 192. Version 1 of its interface keeps ESC where the set is absent. FHIR cannot
hold it, and what is left without it can be the PatientID of somebody else.
"""

from shared.dicom.values import PADDING, UNUSABLE, Attributes
from shared.mapping.patient import PatientRules
from shared.model import Finding

UTF_8, KATAKANA = "ISO_IR 192", "ISO_IR 13"
SINGLE_BYTE = frozenset(f"ISO_IR {number}" for number in (100, 101, 109, 110, 126, 127, 138, 144, 148, 166))
# in these a question mark is what somebody typed
SAYS_QUESTION_MARK = SINGLE_BYTE | {UTF_8, KATAKANA}
SAYS_MIDDLE_DOT = frozenset({UTF_8, "GB18030", "GBK"})
QUESTION_MARK, MIDDLE_DOT, REPLACEMENT = "?", "\u30fb", "\ufffd"


def doubt(attributes: Attributes, rules: PatientRules) -> Finding | None:
    """Why the identity of the patient is not trusted; None where it is, or is missing."""
    keywords = ("PatientID", "IssuerOfPatientID") if rules.issuer_is_system else ("PatientID",)
    for keyword in keywords:
        if len(attributes.places(keyword)) > 1:
            return Finding(keyword, "several-identities")
        if not _is_legible(attributes, attributes.text(keyword) or "") or _is_cut(attributes, keyword):
            return Finding(keyword, "illegible-identity")
    return None


def _is_cut(attributes: Attributes, keyword: str) -> bool:
    """Whether its text is not read as a whole, because FHIR has no such characters."""
    return any(isinstance(value, str) and UNUSABLE.search(value.strip(PADDING)) for value in attributes.places(keyword))


def _is_legible(attributes: Attributes, text: str) -> bool:
    sets = attributes.places("SpecificCharacterSet")
    used = str(sets[0]).strip() if len(sets) == 1 else ""
    return not (
        REPLACEMENT in text
        or (QUESTION_MARK in text and used not in SAYS_QUESTION_MARK)
        or (MIDDLE_DOT in text and used not in SAYS_MIDDLE_DOT)
    )
