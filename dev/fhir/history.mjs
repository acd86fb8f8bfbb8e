/**
 * The history of one resource as R4 wants it: each entry says which request made the version, and how that was answered.
 *
 * The repository keeps versions alone. The oldest one it has counts as the creation, and of deletions only the last one
 * is known, without its time.
 */
import { deepClone } from "@medplum/core";

/**
 * Newest first.
 *
 * @param fullUrl of the resource
 * @param reference `Type/id`
 * @param versions oldest first
 * @param deleted whether the resource is deleted now
 */
export function historyBundle(fullUrl, reference, versions, deleted) {
  const made = versions.map((resource, place) => ({
    fullUrl,
    resource: deepClone(resource),
    request: place ? { method: "PUT", url: reference } : { method: "POST", url: resource.resourceType },
    response: {
      status: place ? "200" : "201",
      etag: `W/"${resource.meta.versionId}"`,
      lastModified: resource.meta.lastUpdated,
    },
  }));
  const deletion = { fullUrl, request: { method: "DELETE", url: reference }, response: { status: "204" } };
  const entry = [...made, ...(deleted ? [deletion] : [])].reverse();
  return { resourceType: "Bundle", type: "history", total: entry.length, entry };
}
