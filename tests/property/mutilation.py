"""Datasets as archives should send them and as they should not, over every keyword that the mapping reads."""

import re
from random import Random

from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from dev.mapping_page import ROWS
from shared.dicom.values import tag_of
from shared.mapping.coding import CODE_KEYWORDS

OF_CODES = {*CODE_KEYWORDS, "CodeMeaning", "CodingSchemeDesignator"}
CODE = tuple(sorted(OF_CODES))
PERSON = ("PersonIdentificationCodeSequence",)
ISSUER = ("LocalNamespaceEntityID", "UniversalEntityID", "UniversalEntityIDType")
# what is read within an item
WITHIN = {
    "IssuerOfAccessionNumberSequence": ISSUER,
    "IssuerOfTheSpecimenIdentifierSequence": ISSUER,
    "IssuerOfPatientIDQualifiersSequence": ("IdentifierTypeCode", *ISSUER),
    "ReferringPhysicianIdentificationSequence": PERSON,
    "PhysiciansReadingStudyIdentificationSequence": PERSON,
    "PerformingPhysicianIdentificationSequence": PERSON,
    "OperatorIdentificationSequence": PERSON,
    "RequestAttributesSequence": ("ReasonForRequestedProcedureCodeSequence", "ReasonForTheRequestedProcedure"),
    "SpecimenDescriptionSequence": (
        "SpecimenIdentifier",
        "IssuerOfTheSpecimenIdentifierSequence",
        "SpecimenUID",
    ),
    "SharedFunctionalGroupsSequence": ("FrameAnatomySequence",),
    "FrameAnatomySequence": ("FrameLaterality", "AnatomicRegionSequence"),
    "AnatomicRegionSequence": (*CODE, "AnatomicRegionModifierSequence"),
    "CodingSchemeIdentificationSequence": ("CodingSchemeDesignator", "CodingSchemeUID"),
}
FIXED = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "PatientID"}


def _words(keywords):
    return {word for word in re.findall(r"[A-Za-z]+", keywords) if tag_for_keyword(word) is not None}


READ = set().union(*(_words(row.keywords) for row in ROWS)) | {"CodingSchemeIdentificationSequence"}
INNER = {keyword for keywords in WITHIN.values() for keyword in keywords} | OF_CODES
TOP = tuple(sorted(READ - FIXED - (INNER - {"AccessionNumber", "AnatomicRegionSequence"})))

TEXTS = (
    "CT head",
    "  padded ",
    "A  B",
    "ISO",
    "UUID",
    "1.2.840.10008.2.16.4",
    "R",
    "F",
    "DCM",
    "SCT",
    "SRT",
    "99LOCAL",
    "T-A0100",
    "69536005",
    "113811",
    "Größe Ελλ 山田 שלום é",
    "ORIGINAL\\PRIMARY",
    "\x1b$B;3ED\x1b(B",
    "line\r\nbreak\ttab",
    "\0",
    "x\u2028y\u00a0z\u3000",
    "\ud800",
    "\x85",
    "￾",
    "x" * 2_000,
)
NAMES = (
    {"Alphabetic": "Rivera^Ana^Maria^Dr^Jr"},
    {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
    {"Ideographic": "佐藤^健"},
    {"Alphabetic": "a^b^c^d^e^f^g"},
    {},
    "Rivera^Ana",
    {"Alphabetic": "x" * 300, "Phonetic": 7},
)
GOOD = {
    "DA": ("20240229", "2024.02.29", "2024", "202402", "20240230", "00010101", "99991231"),
    "TM": ("101530", "10", "1015", "101530.123456", "235960", "24", "10:15:30"),
    "UI": ("1.2.3", "1.2.840.10008.5.1.4.1.1.2", "1.02.3", "1.2.3\0", "2.25." + "9" * 70, "1.2.x", "..1", "0"),
    "IS": (0, 7, "7", -1, 2**31, 1.0, "1e3", "007"),
    "DS": (1.5, "1.5", "1e400", 0),
    "PN": NAMES,
    # those whose values have a form beyond their VR
    "Laterality": ("R", "L", "l", "B", "U", "x"),
    "ImageLaterality": ("R", "L", "B", "U", "x"),
    "FrameLaterality": ("R", "L", "B", "U", "x"),
    "BodyPartExamined": ("HEAD", "head ", "C_SPINE", "Knie"),
    "PatientSex": ("M", "F", "O", "f"),
    "TimezoneOffsetFromUTC": ("+0100", "-0330", "+1500", "-0000"),
}
SCALARS = (None, True, 0, -1, 10**40, 1e300, float("nan"), float("-inf"), "", "NaN", *TEXTS)
MEMBERS = ("vr", "Value", "Alphabetic", "00080100", "00080104", "x")
JUNK = st.recursive(
    st.sampled_from(SCALARS) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=6,
)


class _Random(Random):
    """Datasets with many attributes: more than can be drawn one by one in reasonable time."""

    def dataset(self, keywords, share):
        return {tag_of(keyword): self.element(keyword) for keyword in keywords if self.random() < share}

    def element(self, keyword):
        vr, kind = dictionary_VR(keyword), self.random()
        if kind < 0.75:
            return {"vr": vr, "Value": [self.value(keyword)]}
        if kind < 0.9:
            values = [self.value(keyword) if self.random() < 0.6 else self.junk() for _ in range(self.randrange(4))]
            return {"Value": values, **self.choice(({"vr": vr}, {}, {"vr": 7, "extra": [{"x": 1}]}))}
        return self.choice(({"vr": vr}, {}, None, {"vr": vr, "Value": None}, {"vr": vr, "BulkDataURI": 7}, self.junk()))

    def value(self, keyword):
        if dictionary_VR(keyword) == "SQ":
            return self.dataset(WITHIN.get(keyword, CODE), share=0.7)
        return self.choice(GOOD.get(keyword) or GOOD.get(dictionary_VR(keyword), TEXTS))

    def junk(self, depth=0):
        kind = self.random()
        if kind < 0.6 or depth > 5:
            return self.choice(SCALARS)
        inner = [self.junk(depth + 1) for _ in range(self.randrange(4))]
        return inner if kind < 0.8 else {self.choice(MEMBERS): one for one in inner}


@st.composite
def _few(draw):
    """Up to four attributes, of which a failing example can be shrunk."""
    found = {}
    for keyword in draw(st.lists(st.sampled_from(TOP), max_size=4, unique=True)):
        item = st.integers(0, 2**32).map(lambda seed, keyword=keyword: _Random(seed).value(keyword))
        values = st.lists(item | JUNK, max_size=2)
        found[tag_of(keyword)] = draw(st.fixed_dictionaries({"Value": values}) | JUNK)
    return found


MANY = st.integers(0, 2**32).map(lambda seed: _Random(seed).dataset(TOP, share=0.7))
ATTRIBUTES = _few() | MANY


def _places(node, path=()):
    """Every place within a dataset, from the root."""
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in members:
        yield (*path, name)
        yield from _places(inner, (*path, name))


def _changed(node, path, value):
    name, *rest = path
    inner = _changed(node[name], rest, value) if rest else value
    if isinstance(node, dict):
        return {**node, name: inner}
    return [inner if place == name else one for place, one in enumerate(node)]


@st.composite
def mutilated(draw, datasets, keep=()):
    """One of the datasets, in up to eight places of which is something else; tags in `keep` stay."""
    dataset = draw(st.sampled_from(datasets))
    for _ in range(draw(st.integers(0, 5))):
        places = [path for path in _places(dataset) if path[0] not in keep]
        dataset = _changed(dataset, draw(st.sampled_from(places)), draw(st.sampled_from(TEXTS) | JUNK))
    return dataset
