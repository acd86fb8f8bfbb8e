"""URIs of FHIR R4 and of the code systems it names for DICOM. Each is the published one; the page is in the comment."""

# https://hl7.org/fhir/R4/imagingstudy.html, notes on DICOM UIDs
DICOM_UID = "urn:dicom:uid"
# https://hl7.org/fhir/R4/datatypes.html#uri: a UID as a URI
URI = "urn:ietf:rfc:3986"
# https://dicom.nema.org/medical/dicom/current/output/chtml/part16/chapter_8.html, table 8-1
DCM = "http://dicom.nema.org/resources/ontology/DCM"
# DICOM Cast wrote the bare designator where the URI belongs
DCM_OF_DICOM_CAST = "DCM"
# https://hl7.org/fhir/R4/v2/0203
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
ACCESSION_ID = "ACSN"
# https://hl7.org/fhir/R4/codesystem-endpoint-connection-type.html
CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
DICOM_WADO_RS = "dicom-wado-rs"
# https://profiles.ihe.net/RAD/MADO/
NUMBER_OF_FRAMES = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoNumberOfFrames"
# https://hl7.org/fhir/R4/extension-iso21090-en-representation.html
NAME_REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
# https://hl7.org/fhir/R4/snomedct.html, loinc.html, ucum.html
SNOMED_CT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
# Coding Scheme Designator (PS3.16 table 8-1, 2026d) -> system (https://hl7.org/fhir/R4/terminologies-systems.html; for
# NCIt and UMLS, which R4 does not list, https://terminology.hl7.org). Only where both sides name the same OID and write
# codes alike: MDC is left out, as DICOM writes partition:element and FHIR one number.
CODING_SCHEMES = {
    "DCM": DCM,
    "DCMUID": "http://dicom.nema.org/resources/ontology/DCMUID",
    "SCT": SNOMED_CT,
    "LN": LOINC,
    "UCUM": UCUM,
    "RADLEX": "http://www.radlex.org",
    "C4": "http://www.ama-assn.org/go/cpt",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ISO3166_1": "urn:iso:std:iso:3166",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "RFC3066": "urn:ietf:bcp:47",
    "IETF4646": "urn:ietf:bcp:47",
    "RFC5646": "urn:ietf:bcp:47",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "UMLS": "http://terminology.hl7.org/CodeSystem/umls",
}
# https://hl7.org/fhir/uv/radiation-dose-summary/STU1/CodeSystem-dicom-identifier-type.html
DICOM_IDENTIFIER_TYPE = "http://hl7.org/fhir/uv/radiation-dose-summary/CodeSystem/dicom-identifier-type"
SERIAL_NUMBER = "SNO"
# https://hl7.org/fhir/R4/valueset-series-performer-function.html
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
# https://hl7.org/fhir/R4/extension-data-absent-reason.html
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# extension of this app: a source of an ImagingStudy, of a series or an instance in it; see shared/mapping/sources.py
SOURCE = "urn:dicom-fhir-sync:source"
# extension of this app at a series: how many instances of a source it does not list; see shared/mapping/unlisted.py
UNLISTED = "urn:dicom-fhir-sync:unlisted-instances"
