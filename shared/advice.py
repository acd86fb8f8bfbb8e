"""What each code means and what to do about it: for the operator's command line and for docs/operations.md.

A code is stable: it stands in logs, in error tables and in alerts.
"""

from typing import NamedTuple


class Advice(NamedTuple):
    """What happens to the study, what the code means, and what to do.

    outcome: `retrying` by itself; `set-up`: somebody has to set something up rightly, and until then studies wait and
    none fails for it; `failed` until somebody acts; `skipped`: the rest is in FHIR; `noted`: all is in FHIR.
    """

    outcome: str
    text: str


ADVICE = {
    "throttled": Advice(
        "retrying",
        "The server asks for less (429, or `throttled` in its answer). Nothing, unless it lasts: then raise its "
        "capacity or lower `batchSize` in host.json.",
    ),
    "unavailable": Advice(
        "retrying",
        "The server cannot be reached, is too slow, or answers something other than JSON. Check the service and the "
        "network.",
    ),
    "server-error": Advice(
        "retrying",
        "The server answers 5xx. Nothing, unless it lasts: then look at the service. (If the DICOM service fails for "
        "some instances only, these are `unreadable-metadata`.)",
    ),
    "unreadable": Advice(
        "retrying",
        "The server answers JSON that cannot be parsed. Look at the service and at gateways before it.",
    ),
    "incomplete-answer": Advice(
        "retrying",
        "An answer took too long (60 s to its beginning, and 10 s more for each MB that was sent; 120 s from there to "
        "its end) or broke off. Nothing, unless it lasts: then look at the load of the server.",
    ),
    "answer-too-large": Advice(
        "retrying",
        "An answer was larger than 128 MiB, or would take more than 1,280 MiB decoded. A study that does not come in "
        "one answer is read series by series; where the line names the FHIR server, look at what it answers.",
    ),
    "no-room": Advice(
        "retrying",
        "The study is large, and another large one was processed in this worker for more than 90 s. Nothing: it is "
        "retried. If it lasts: more workers, or more memory for each (docs/scaling.md).",
    ),
    "unreadable-study": Advice(
        "retrying",
        "The DICOM service fails to answer for this study in any way, its series included, while it answers for "
        "others. It is retried for `TotalRetryDuration`; other studies do not wait for it. Look for the study in the "
        "log of the service.",
    ),
    "unreadable-resource": Advice(
        "retrying",
        "A resource that the FHIR server has is not valid R4, so nobody can tell what in it is whose; the line names "
        "its type and element. Correct it in FHIR. Other studies do not wait for it.",
    ),
    "write-failed": Advice(
        "retrying",
        "The FHIR server answers 500 when the study is written, and answered the searches before. It is retried for "
        "`TotalRetryDuration`; other studies do not wait for it. If it lasts, look in the log of the server.",
    ),
    "transient": Advice("retrying", "Another passing failure. Nothing, unless it lasts: the line says more."),
    "version-conflict": Advice(
        "retrying", "Somebody else keeps changing the same resources. Nothing, unless it lasts."
    ),
    "overwritten": Advice(
        "retrying",
        "Another worker created a resource of the study at the same moment. The resource was put back as that "
        "worker wrote it. Nothing: the study is read again.",
    ),
    "settings": Advice("set-up", "Settings are wrong or missing; the line names each."),
    "access-refused": Advice(
        "set-up",
        "401 or 403. Check the app's identity, its role on that service and the audience. If only large studies meet "
        "it, a gateway may refuse their size so: raise its limit, or set `ImagingStudy__MostInstances`.",
    ),
    "wrong-endpoint": Advice("set-up", "404 or a web page where the service should be. Check the endpoint."),
    "certificate": Advice(
        "set-up",
        "The certificate of the service is not valid here: it has expired, is for another name, or its issuer is not "
        "trusted. Renew it, or correct the endpoint.",
    ),
    "version-refused": Advice(
        "set-up",
        "The DICOM service offers version 2 of its API and refuses version 1, by whose sequences this app reads the "
        "change feed. Check that gateways before it let `/v1` through.",
    ),
    "unreadable-row": Advice(
        "set-up",
        "A row of a table cannot be read: this app did not write it like that; the line names it. Delete the row: the "
        "content of a state table is read again from DICOM and FHIR.",
    ),
    "no-versions": Advice(
        "set-up",
        "The FHIR server answers resources without `meta.versionId`, so that a write cannot be guarded against others. "
        "Switch versioning on, or check the gateways before the server.",
    ),
    "wrong-fhir-version": Advice("set-up", "The server is not FHIR R4. Set `Fhir__Endpoint` to one that is."),
    "refused-request": Advice(
        "set-up",
        "A server refuses a request that says nothing about the study (400 on a search or a read), often a "
        "gateway before it. If only large studies meet it, a gateway may refuse their size so: raise its limit, or set "
        "`ImagingStudy__MostInstances`.",
    ),
    "no-transactions": Advice("set-up", "The server executes no transaction bundles (Azure API for FHIR does not)."),
    "feed-reset": Advice(
        "set-up",
        "The change feed ends before the checkpoint, or lacks the entry that the checkpoint remembers, or has "
        "another there: another DICOM service, or this one after it was set up or restored again. Nothing is "
        "enqueued, and nothing is removed from FHIR. Check where the endpoint leads. If that service is meant to be "
        "there: stop the app, clear the queue `study-changes`, delete the tables `SyncStateTable`, "
        "`StudyStateTable`, `PatientStateTable` and `TransientRetryExceptionTable`, then start the app: it reads "
        "the feed from its beginning. Studies that this service does not have stay in FHIR until somebody deletes"
        " them.",
    ),
    "unconfirmed": Advice(
        "retrying",
        "Something is gone from DICOM, and it is not known whether this is the service that was read so far: its "
        "change feed does not answer, or no poll has succeeded yet. Nothing is removed from FHIR meanwhile. Nothing, "
        "unless it lasts: then look for `poll_failed` in the log.",
    ),
    "not-polling": Advice(
        "set-up",
        "The timer has not run, or each of its polls failed, for longer than its schedule allows; `/api/health` says "
        "this. Look for `poll_failed` in the log. If there is none: is the app stopped, did its host end, or does the "
        "host say at its start that `poll_change_feed` is in error?",
    ),
    "two-readers": Advice(
        "set-up",
        "DICOM Cast, or another app, moves this app's checkpoint and writes over what it writes. Stop it; its studies "
        "are processed again by themselves (docs/migrate.md).",
    ),
    "misconfigured": Advice("set-up", "Something else is set up wrongly; the line says what."),
    "ambiguous-match": Advice(
        "failed",
        "Several resources carry the same identity. Merge or remove the extra ones, then retry. Of several Patients, "
        "set `active` to false on those that are not to be used, or link them to the one that is (`replaced-by`).",
    ),
    "patient-link-broken": Advice(
        "failed",
        "The Patient of this study is replaced by one that the FHIR server does not have (a `link` of type "
        "`replaced-by` to another server, or to a resource that is gone). Correct the `link`, then retry.",
    ),
    "patient-link-circle": Advice(
        "failed",
        "The Patient of this study is replaced by others whose `link` of type `replaced-by` leads back to it, or goes "
        "on over more than 100 Patients. Correct the `link` of the one that is to be used, then retry.",
    ),
    "endpoint-differs": Advice(
        "failed",
        "The Endpoint of this DICOM service exists and its address is another. Correct its address, then retry.",
    ),
    "invalid-study": Advice(
        "failed",
        "DICOM lacks a value that FHIR requires. Correct the study in DICOM; the update brings it in.",
    ),
    "invalid-resource": Advice(
        "failed",
        "The mapped resource is not valid R4; the line names the elements. Often an element that somebody else "
        "added: correct it in FHIR, then retry.",
    ),
    "rejected": Advice(
        "failed",
        "The FHIR server refuses the content (400, 422), twice, and names no element that can be left out; the line "
        "holds its issue codes, the log of the server the reason. Correct the study in DICOM or the rule of the "
        "server, then retry.",
    ),
    "study-too-large": Advice(
        "failed",
        "The FHIR server, or a gateway before it, refuses the study as too large, without its instances too. Raise the "
        "limit there, then retry.",
    ),
    "permanent": Advice(
        "failed",
        "Another lasting failure. The next change of the study tries it again, and so does `retry`.",
    ),
    "deadline": Advice(
        "retrying",
        "The study was not done within half of `functionTimeout` (host.json: 5 of 10 minutes). Look for a slow "
        "service; where a study is too large for the time, raise `functionTimeout`.",
    ),
    "process-died": Advice(
        "failed",
        "The study ended the process that processed it alone, at once or several times. Give the instances more "
        "memory if the reason is SIGKILL or a lack of memory; otherwise report it. Then retry. Until it "
        "succeeds, each change of it is tried in a process of its own.",
    ),
    "too-slow": Advice(
        "failed",
        "The study was processed alone, and its process was ended after three quarters of `functionTimeout`: it no "
        "longer reacted. Report it, with the kind of the study. Then retry; until it succeeds, each change of it "
        "is tried in a process of its own.",
    ),
    "process-not-started": Advice(
        "retrying",
        "A worker ended, and its studies cannot be processed in a process of their own: the line says why. Check the "
        "settings and the memory of the instance.",
    ),
    "bug": Advice(
        "failed",
        "The message of the study failed five times without a reason that has a name: a defect of this app. Report it, "
        "with the lines before it in the log. Its next change tries it again, and so does `retry`.",
    ),
    "malformed-message": Advice(
        "skipped",
        "A message on the queue was not written by this app; it was taken off. Find out who sends there. If a study is "
        "not in sync, its next change brings it up to date, and so does `retry`.",
    ),
    "malformed-entry": Advice(
        "skipped",
        "A row of the change feed cannot be read, or claims a sequence outside its page; the rest was read. "
        "`retry` resyncs the study that it names and removes the row; if it names none, compare the studies of "
        "that day.",
    ),
    "missing": Advice(
        "skipped",
        "The instance lacks PatientID or SOPClassUID and is not in FHIR. Correct it in the DICOM service; the update "
        "brings it in.",
    ),
    "illegible-identity": Advice(
        "skipped",
        "The instance is not in FHIR: the DICOM service could not read every character of its PatientID, or of the "
        "issuer where that is the identifier system, and wrote `?` or another substitute, so two persons could become "
        "one. Specific Character Set is absent, unknown, or does not cover the characters; without it a `?` that was "
        "meant looks the same. Set the right character set (`ISO_IR 192`, say) in the object and store it again; the "
        "update brings it in.",
    ),
    "no-partition-system": Advice(
        "failed",
        "The study is in a data partition for which no system of patient identifiers is named, and PatientID 1001 of "
        "one partition can be another person than that of the next. Name the system of each partition in "
        "`Patient__PartitionSystemIds` (the same one for partitions that share their patients), then retry the "
        "studies. Their content in FHIR stays until then.",
    ),
    "several-identities": Advice(
        "skipped",
        "The instance is not in FHIR: its PatientID, or the issuer where that is the identifier system, has several "
        "values. Correct it in the DICOM service; the update brings it in.",
    ),
    "unreadable-metadata": Advice(
        "skipped",
        "The DICOM service does not give the metadata of this instance, or in a form that cannot be read, while it "
        "answers for others; its content in FHIR stays, and the rest of its study is in sync. It is retried "
        "seven times over about six hours, and with the next change of the study. If the row stays, replace the "
        "instance in the DICOM service (delete it, correct it, store it); the change brings it in.",
    ),
    "dicom-cast": Advice(
        "failed",
        "DICOM Cast failed at these instances; the reason names its exception. The next change of the study tries all "
        "of it, and removes the rows. Retry the study to try it now.",
    ),
    "error": Advice("retrying", "Not used by itself."),
}

# of `shared.errors.Misconfigured`
SET_UP = frozenset(code for code, advice in ADVICE.items() if advice.outcome == "set-up")
