"""Pure: Identifier Type Code (PS3.3 10.18) as CodeableConcept.

DICOM takes its codes from HL7 table 0203. What that table lacks is a text: a server that checks codes refuses what is
not of the system it claims.
"""

from shared.fhir.systems import IDENTIFIER_TYPE
from shared.mapping.table import Element

# version 2.9, the one that R4 publishes: https://hl7.org/fhir/R4/v2/0203
TABLE_0203 = """
    AC ACSN AM AMA AN ANC AND ANON ANT APRN ASID BA BC BCFN BCT BR BRN BSNR CC CONM CY CZ DC DCFN DDS DEA DFN DI DL
    DN DO DP DPM DR DS EI EN ESN FDR FDRFN FI FILL GI GL GN HC IND JHN LACSN LANR LI LN LR MA MB MC MCD MCN MCR MCT
    MD MI MR MRT MS NBSNR NCT NE NH NI NII NIIP NNxxx NP NPI OBI OD PA PC PCN PE PEN PHC PHE PHO PI PLAC PN PNT PPIN
    PPN PRC PRN PT QA RI RN RPH RR RRI RRP SB SID SL SN SNBSN SNO SP SR SS STN TAX TN TPR TRL U UDI UPIN USID VN VP
    VS WC WCN WP XV XX
"""
IDENTIFIER_TYPES = frozenset(TABLE_0203.split())


def identifier_type(code: str) -> Element:
    """What kind of identifier it is."""
    return {"coding": [{"system": IDENTIFIER_TYPE, "code": code}]} if code in IDENTIFIER_TYPES else {"text": code}
