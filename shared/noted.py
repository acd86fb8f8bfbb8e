"""What each code means of what is in FHIR, and what somebody should see all the same."""

from shared.advice import Advice

# of what was found in a study that is in FHIR, and that somebody should see; all other such codes are of single values
NOTED = {
    "patient-conflict": Advice(
        "noted",
        "The PatientID of this instance is not that of most instances of the study; it is listed, and does not move "
        "the study. Correct it in DICOM.",
    ),
    "demographics-conflict": Advice(
        "noted",
        "Name, sex and birth date of this study all contradict those of its Patient, which a newer study provides: two "
        "persons under one number? The Patient has what the newest study says. Compare the studies of the Patient, and "
        "correct PatientID where it is wrong.",
    ),
    "issuer-conflict": Advice(
        "noted",
        "Issuer of Patient ID of this study is not that of its Patient, which a newer study provides: two authorities "
        "of one number? If they give the same numbers to different persons, set `Patient__IsIssuerIdUsed`.",
    ),
    "status-kept": Advice(
        "noted",
        "Somebody else set the status of the ImagingStudy; it stays, the rest follows DICOM. Nothing, if meant.",
    ),
    "subject-kept": Advice(
        "noted",
        "Somebody else set the subject of the ImagingStudy; it stays until the PatientID changes in DICOM. If it is "
        "meant, correct the PatientID in DICOM.",
    ),
    "instances-not-listed": Advice(
        "noted",
        "The FHIR server, or a gateway before it, refused the study as too large. Series and counts are in FHIR, "
        "instances are not. Raise the limit there, then retry; or set `ImagingStudy__MostInstances`.",
    ),
    "too-many-instances": Advice(
        "noted",
        "The study has more instances than are remembered (about 100,000). It is read whole at each change, and an "
        "instance that is not remembered stays listed after it is deleted. With `ImagingStudy__MostInstances`, no "
        "instance is listed and the counts are right.",
    ),
    "started-before-study": Advice(
        "noted",
        "A series starts before its study: a clock or a date is wrong. Both are in FHIR as DICOM says them. Correct "
        "the one that is wrong in DICOM.",
    ),
    "dicom-cast-note": Advice(
        "noted",
        "DICOM Cast left a value of the instance out, or tried to write it more than once; the reason names its "
        "exception. Nothing: the next change of the study removes the row, and so does a retry.",
    ),
}
