/** The CapabilityStatement: fhir-router has none, so this one lists what its routes and search parameters allow. */
import { getResourceTypes, getSearchParameters } from "@medplum/core";

const INTERACTIONS = ["create", "read", "vread", "update", "patch", "delete", "history-instance", "search-type"];
const codes = (values) => values.map((code) => ({ code }));

export function capabilityStatement(version, base, updateCreate) {
  const resources = getResourceTypes().map((type) => resource(type, updateCreate));
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date: new Date().toISOString(),
    kind: "instance",
    software: { name: "medplum", version },
    implementation: { description: "Local development stack: @medplum/fhir-router over memory", url: base },
    fhirVersion: "4.0.1",
    format: ["application/fhir+json", "json"],
    patchFormat: ["application/json-patch+json"],
    rest: [
      { mode: "server", interaction: codes(["transaction", "batch"]), resource: resources },
    ],
  };
}

function resource(type, updateCreate) {
  const parameters = Object.values(getSearchParameters(type) ?? {});
  const searchParam = parameters.map((each) => ({ name: each.code, type: each.type }));
  return {
    type,
    interaction: codes(INTERACTIONS),
    versioning: "versioned-update",
    readHistory: true,
    updateCreate,
    conditionalCreate: true,
    conditionalUpdate: true,
    conditionalDelete: "single",
    ...(searchParam.length && { searchParam }), // FHIR has no empty arrays
  };
}
