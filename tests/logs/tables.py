"""Tables of a Log Analytics workspace that Application Insights fills, and the rows that it makes of what it is sent.

Columns and types: Microsoft Learn, "Azure Monitor Log Analytics log tables", those of the four tables here.
"""

import re
from datetime import datetime
from typing import Any

_SHARED = {
    "TenantId": "string",
    "TimeGenerated": "datetime",
    "OperationName": "string",
    "OperationId": "string",
    "ParentId": "string",
    "Properties": "dynamic",
    "Measurements": "dynamic",
    "AppRoleName": "string",
    "AppRoleInstance": "string",
    "AppVersion": "string",
    "ClientType": "string",
    "ClientIP": "string",
    "IKey": "string",
    "SDKVersion": "string",
    "ItemCount": "int",
    "ResourceGUID": "string",
    "SourceSystem": "string",
    "Type": "string",
    "_BilledSize": "real",
    "_IsBillable": "string",
    "_ResourceId": "string",
}
_CALL = {"Id": "string", "Name": "string", "Success": "bool", "ResultCode": "string", "DurationMs": "real"}
COLUMNS: dict[str, dict[str, str]] = {
    "AppTraces": {**_SHARED, "Message": "string", "SeverityLevel": "int"},
    "AppRequests": {**_SHARED, **_CALL, "Url": "string", "Source": "string", "PerformanceBucket": "string"},
    "AppDependencies": {**_SHARED, **_CALL, "Target": "string", "DependencyType": "string", "Data": "string"},
    "AppExceptions": {
        **_SHARED,
        "ProblemId": "string",
        "HandledAt": "string",
        "ExceptionType": "string",
        "OuterType": "string",
        "OuterMessage": "string",
        "InnermostType": "string",
        "InnermostMessage": "string",
        "SeverityLevel": "int",
        "Details": "dynamic",
    },
}
LEVELS = {"Verbose": 0, "Information": 1, "Warning": 2, "Error": 3, "Critical": 4}


def row_of(sent: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Table and row of one item of telemetry; None where it goes to no table of these."""
    data, tags = sent["data"]["baseData"], sent.get("tags", {})
    of_kind = {
        "MessageData": ("AppTraces", _trace),
        "RequestData": ("AppRequests", _call),
        "RemoteDependencyData": ("AppDependencies", _call),
        "ExceptionData": ("AppExceptions", _exception),
    }
    if sent["data"]["baseType"] not in of_kind:
        return None
    table, more = of_kind[sent["data"]["baseType"]]
    at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", sent["time"]))
    shared = {
        "TimeGenerated": at.replace(tzinfo=None),
        "OperationName": tags.get("ai.operation.name"),
        "OperationId": tags.get("ai.operation.id"),
        "Properties": data.get("properties", {}),
    }
    return table, shared | more(data)


def _trace(data: dict[str, Any]) -> dict[str, Any]:
    return {"Message": data["message"], "SeverityLevel": LEVELS.get(data.get("severityLevel"))}


def _call(data: dict[str, Any]) -> dict[str, Any]:
    found = {"Id": data.get("id"), "Name": data.get("name"), "Success": data.get("success", True)}
    return found | {"ResultCode": data.get("responseCode") or data.get("resultCode")}


def _exception(data: dict[str, Any]) -> dict[str, Any]:
    outer, inner = data["exceptions"][0], data["exceptions"][-1]
    return {
        "ExceptionType": outer.get("typeName"),
        "OuterMessage": outer.get("message"),
        "InnermostMessage": inner.get("message"),
        "SeverityLevel": LEVELS.get(data.get("severityLevel")),
    }
