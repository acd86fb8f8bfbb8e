"""Pure: Modality (PS3.3 C.7.3.1.1.1) as Coding.

Its defined terms are codes of DCM (PS3.16 annex D). A site may use others; those stand without a system, since a server
that checks codes refuses what is not of the system it claims.
"""

from shared.dicom.values import Attributes
from shared.fhir.systems import DCM
from shared.mapping.table import Element

OTHER = "OT"  # what is none of the others
# the retired ones last
TERMS = """
    ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT
    IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG
    RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA
    XA XAPROTOCOL XC
    AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF
"""
MODALITIES = frozenset(TERMS.split())


def modality(attributes: Attributes, _zone: str) -> Element:
    """`OT` where DICOM has none, since R4 requires one."""
    code = " ".join((attributes.text("Modality") or "").split())  # a FHIR code has single spaces
    if not code:
        attributes.find("Modality", "missing")
        code = OTHER
    if code not in MODALITIES and code.upper() in MODALITIES:
        attributes.find("Modality", "irregular-code")
        code = code.upper()
    return {"system": DCM, "code": code} if code in MODALITIES else {"code": code}
