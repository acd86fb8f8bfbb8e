"""What each code means and what to do about it: for the operator's command line and for docs/operations.md.

A code is stable: it stands in logs, in error tables and in alerts.
"""

from typing import NamedTuple


class Advice(NamedTuple):
    """What happens to the study, and what it means and asks for."""

    outcome: str
    text: str


ADVICE = {
    "throttled": Advice(
        "deferred",
        "The server asks for less (429, or `throttled` in its answer). Nothing, unless it lasts: then raise its "
        "capacity or lower `batchSize` in host.json.",
    ),
    "unavailable": Advice(
        "deferred",
        "The server cannot be reached, is too slow, or answers something else than JSON. Check the service "
        "and the network.",
    ),
    "server-error": Advice(
        "deferred",
        "The server answers 5xx. Nothing, unless it lasts: then look at the service. (If the DICOM service fails for "
        "some instances only, these are `unreadable-metadata`.)",
    ),
    "unreadable": Advice(
        "deferred",
        "The server answers JSON that cannot be parsed. Look at the service and at gateways before it.",
    ),
    "incomplete-answer": Advice(
        "deferred",
        "An answer took too long (60 s to its beginning, and 10 s more for each MB that was sent; 120 s from there to "
        "its end) or broke off. Nothing, unless it lasts: then look at the load of the server.",
    ),
    "answer-too-large": Advice(
        "deferred",
        "An answer was larger than 128 MiB, or would take more than 1,280 MiB decoded. A study that does not come in "
        "one answer is read series by series; where the line names the FHIR server, look at what it answers.",
    ),
    "no-room": Advice(
        "deferred",
        "The study is large, and another large one was worked on in this worker for more than 90 s. Nothing: it is "
        "tried again. If it lasts: more workers, or more memory for each (docs/scaling.md).",
    ),
    "unreadable-study": Advice(
        "deferred",
        "The DICOM service fails to answer for this study in any way, its series included, while it answers for "
        "others. It is tried again for `TotalRetryDuration`; other studies do not wait for it. Look for the study in "
        "the log of the service.",
    ),
    "write-failed": Advice(
        "deferred",
        "The FHIR server answers 500 when the study is written, and answered the searches before. It is tried again "
        "for `TotalRetryDuration`; other studies do not wait for it. If it lasts, look in the log of the server for "
        "what it fails at.",
    ),
    "transient": Advice("deferred", "Another passing failure. Nothing, unless it lasts: the line says more."),
    "version-conflict": Advice(
        "deferred", "Somebody else keeps changing the same resources. Nothing, unless it lasts."
    ),
    "overwritten": Advice(
        "deferred",
        "Another worker created a resource of the study at the same moment. What it wrote was put back. Nothing: the "
        "study is read again.",
    ),
    "settings": Advice("deferred", "Settings are wrong or missing; the line names each."),
    "access-refused": Advice(
        "deferred",
        "401 or 403. Check the app's identity, its role on that service and the audience. If only large studies meet "
        "it, a gateway may refuse their size so: raise its limit, or set `ImagingStudy__MostInstances`.",
    ),
    "wrong-endpoint": Advice("deferred", "404 or a web page where the service should be. Check the endpoint."),
    "certificate": Advice(
        "deferred",
        "The certificate of the service is not valid here: it has expired, is for another name, or its issuer is not "
        "trusted. Renew it, or correct the endpoint.",
    ),
    "version-refused": Advice(
        "nothing moves",
        "The DICOM service offers version 2 of its API and refuses version 1, by whose sequences this app reads the "
        "change feed. Check that whatever stands before it lets `/v1` through.",
    ),
    "unreadable-row": Advice(
        "deferred",
        "A row of a table holds something else than this app writes; the line names it. Delete the row: what a state "
        "table remembered is read anew from DICOM and FHIR.",
    ),
    "no-versions": Advice(
        "deferred",
        "The FHIR server answers resources without `meta.versionId`, so that a write cannot be guarded against others. "
        "Switch versioning on, or check what stands before the server.",
    ),
    "wrong-fhir-version": Advice("deferred", "The server is not FHIR R4. Set `Fhir__Endpoint` to one that is."),
    "refused-request": Advice(
        "deferred",
        "A server refuses a request that says nothing about the study (400 on a search or a read), often a "
        "gateway before it. If only large studies meet it, a gateway may refuse their size so: raise its limit, or set "
        "`ImagingStudy__MostInstances`.",
    ),
    "no-transactions": Advice(
        "deferred",
        "The server does not carry out transaction bundles (Azure API for FHIR does not).",
    ),
    "feed-reset": Advice(
        "nothing moves",
        "The change feed ends before the checkpoint, or lacks the entry that the checkpoint remembers, or has "
        "another there: another DICOM service, or this one after it was set up or restored again. Nothing is "
        "enqueued, and nothing goes from FHIR. Check where the endpoint leads. If that service is meant to be "
        "there: stop the app, clear the queue `study-changes`, delete the tables `SyncStateTable`, "
        "`StudyStateTable`, `PatientStateTable` and `TransientRetryExceptionTable`, then start the app: it reads "
        "the feed from its beginning. Studies that this service does not have stay in FHIR until somebody deletes"
        " them.",
    ),
    "unconfirmed": Advice(
        "deferred",
        "Something is gone from DICOM, and it is not known whether this is the service that was read so far: its "
        "change feed does not answer, or no poll has succeeded yet. Nothing goes from FHIR meanwhile. Nothing, "
        "unless it lasts: then look for `poll_failed` in the log.",
    ),
    "not-polling": Advice(
        "nothing moves",
        "The timer has not run, or each of its polls failed, for longer than its schedule allows; `/api/health` says "
        "this. Look for `poll_failed` in the log. If there is none: is the app stopped, did its host end, or does the "
        "host say at its start that `poll_change_feed` is in error (a `SYNC_SCHEDULE` that it cannot read)?",
    ),
    "two-readers": Advice(
        "nothing waits",
        "DICOM Cast, or another app, moves this app's checkpoint and writes over what it writes: docs/migrate.md.",
    ),
    "misconfigured": Advice("deferred", "Another fault of set-up; the line says which."),
    "ambiguous-match": Advice(
        "parked",
        "Several resources carry the same identity. Merge or remove the extra ones, then release. Of several Patients, "
        "set `active` to false on those that are not to be used, or link them to the one that is (`replaced-by`).",
    ),
    "patient-link-broken": Advice(
        "parked",
        "The Patient of this study is replaced by one that the FHIR server does not have (a `link` of type "
        "`replaced-by` to another server, or to a resource that is gone). Correct the `link`, then release.",
    ),
    "patient-link-circle": Advice(
        "parked",
        "The Patient of this study is replaced by others whose `link` of type `replaced-by` leads back to it, or goes "
        "on over more than 100 Patients. Correct the `link` of the one that is to be used, then release.",
    ),
    "endpoint-differs": Advice(
        "parked",
        "The Endpoint of this DICOM service exists and its address is another. Correct its address, then release.",
    ),
    "invalid-study": Advice(
        "parked",
        "DICOM lacks what FHIR requires. Mend the study there; the update brings it in.",
    ),
    "invalid-resource": Advice(
        "parked",
        "The mapped resource is not valid R4; the line names the elements. Often an element that somebody else "
        "added: correct it in FHIR, then release.",
    ),
    "rejected": Advice(
        "parked",
        "The FHIR server refuses the content (400, 422), twice, and names no element that can be left out; the line "
        "holds its issue codes, the log of the server what it misses. Mend the study in DICOM or the rule of the "
        "server, then release.",
    ),
    "study-too-large": Advice(
        "parked",
        "The FHIR server, or a gateway before it, refuses the study as too large, without its instances too. Raise the "
        "limit there, then release.",
    ),
    "permanent": Advice(
        "parked",
        "Another lasting failure. The next change of the study tries it again, and so does releasing it.",
    ),
    "deadline": Advice(
        "deferred",
        "The study was not done within half of `functionTimeout` (host.json: 5 of 10 minutes). Look for a slow "
        "service; where a study is too large for the time, raise `functionTimeout`.",
    ),
    "process-died": Advice(
        "parked",
        "The study ended the process that worked on it alone, at once or several times. Give the instances more "
        "memory if the reason is SIGKILL or a lack of memory; otherwise report it. Then release. Until it "
        "succeeds, each change of it is tried in a process of its own.",
    ),
    "too-slow": Advice(
        "parked",
        "The process that worked on the study alone was ended after three quarters of `functionTimeout`: it no "
        "longer reacted. Report it, with the kind of the study. Then release; until it succeeds, each change of it "
        "is tried in a process of its own.",
    ),
    "process-not-started": Advice(
        "deferred",
        "A worker ended, and what it worked on cannot be tried in a process of its own: the line says why. Check the "
        "settings and the memory of the instance.",
    ),
    "bug": Advice(
        "parked",
        "The message of the study failed five times without a reason that has a name: a defect of this app. Report it, "
        "with the lines before it in the log. Its next change tries it again, and so does releasing it.",
    ),
    "malformed-message": Advice(
        "recorded",
        "A message on the queue is none that this app writes; it was taken off. Find out who sends there. If a study "
        "is behind, its next change brings it up to date.",
    ),
    "malformed-entry": Advice(
        "recorded",
        "A row of the change feed cannot be read, or claims a sequence outside its page; the rest went on. "
        "Releasing it looks at the study that it names and takes the row away; if it names none, compare the "
        "studies of that day.",
    ),
    "missing": Advice(
        "recorded",
        "The instance lacks PatientID or SOPClassUID and is not in FHIR. Mend it in the DICOM service; the "
        "update brings it in.",
    ),
    "illegible-identity": Advice(
        "recorded",
        "The instance is not in FHIR: the DICOM service could not read every character of its PatientID, or of the "
        "issuer where that is the identifier system, and wrote `?` or another substitute, so two persons could become "
        "one. Specific Character Set is absent, unknown, or cannot express what is there; without it a `?` that was "
        "meant looks the same. Set the right character set (`ISO_IR 192`, say) in the object and store it again; the "
        "update brings it in.",
    ),
    "no-partition-system": Advice(
        "parked",
        "The study is in a data partition for which no system of patient identifiers is named, and PatientID 1001 of "
        "one partition can be another person than that of the next. Name the system of each partition in "
        "`Patient__PartitionSystemIds` (the same one for partitions that share their patients), then release the "
        "studies. What FHIR has of them stays until then.",
    ),
    "several-identities": Advice(
        "recorded",
        "The instance is not in FHIR: its PatientID, or the issuer where that is the identifier system, has several "
        "values. Correct it in the DICOM service; the update brings it in.",
    ),
    "unreadable-metadata": Advice(
        "recorded",
        "The DICOM service does not give the metadata of this instance, or in a form that cannot be read, while it "
        "answers for others; what FHIR says of the instance stays, and the rest of its study is in step. It is tried "
        "again seven times over about six hours, and with the next change of the study. If the row stays, replace the "
        "instance in the DICOM service (delete it and store it mended); the change brings it in.",
    ),
    "dicom-cast": Advice(
        "parked",
        "DICOM Cast failed at these instances; the reason names its exception. The next change of the study tries all "
        "of it, and takes the rows away. Release the study to try it now.",
    ),
    "error": Advice("deferred", "Not used by itself."),
}
