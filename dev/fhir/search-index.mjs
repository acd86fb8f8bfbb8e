/**
 * Which resources can match `identifier`, `_id` and the common reference parameters, without looking at all of them.
 *
 * Identifiers are compared as Medplum's server does (exact case, system and value parted at the first `|`), which its
 * memory repository does not. References are only narrowed; whether they match is left to Medplum.
 */
import { splitSearchOnComma } from "@medplum/core";

/** Search parameters that look at references directly below the resource. */
const REFERENCES = new Set(["patient", "subject", "based-on", "derived-from", "encounter", "device"]);
const REFERENCE = /^[A-Za-z]+\/[A-Za-z0-9.-]+$/;

export class SearchIndex {
  #ids = new Map(); // "Type kind key" -> ids

  clear() {
    this.#ids.clear();
  }

  /** Forget a resource's former content, remember the new one; either may be undefined. */
  replace(before, after) {
    for (const key of keys(before)) {
      const ids = this.#ids.get(key);
      ids?.delete(before.id);
      if (!ids?.size) {
        this.#ids.delete(key);
      }
    }
    for (const key of keys(after)) {
      this.#ids.set(key, this.#ids.get(key) ?? new Set()).get(key).add(after.id);
    }
  }

  /** Candidates (a Map of id to resource; undefined = all) and the filters still to be evaluated on them. */
  narrow(resources, filters) {
    // a chained filter may look at resources of the same type that are no candidates
    if (!filters.length || filters.some(({ code }) => code.includes("."))) {
      return { filters };
    }
    const type = resources.values().next().value?.resourceType;
    let candidates;
    const left = [];
    for (const filter of filters) {
      const { ids, exact } = this.#lookup(type, filter);
      if (ids) {
        const known = candidates ?? resources;
        candidates = new Map([...ids].filter((id) => known.has(id)).map((id) => [id, resources.get(id)]));
      }
      if (!exact) {
        left.push(filter);
      }
    }
    return { candidates, filters: left };
  }

  #lookup(type, { code, operator, value }) {
    const values = operator === "eq" ? splitSearchOnComma(value).map((text) => text.trim()) : [];
    const union = (kind) => new Set(values.flatMap((text) => [...(this.#ids.get(`${type} ${kind} ${text}`) ?? [])]));
    if (values.length && code === "_id") {
      return { ids: new Set(values), exact: true };
    }
    if (values.length && code === "identifier") {
      return { ids: union("identifier"), exact: true };
    }
    if (REFERENCES.has(code) && values.length && values.every((text) => REFERENCE.test(text))) {
      return { ids: union("reference"), exact: false };
    }
    return {};
  }
}

function* keys(resource) {
  for (const token of identifiers(resource)) {
    yield `${resource.resourceType} identifier ${token}`;
  }
  for (const element of Object.values(resource ?? {}).flat()) {
    if (typeof element?.reference === "string") {
      yield `${resource.resourceType} reference ${element.reference}`;
    }
  }
}

/** Every text a client can find an identifier by: `system|value`, `system|`, `|value` without system, `value`. */
function* identifiers(resource) {
  for (const { system = "", value = "" } of [resource?.identifier ?? []].flat()) {
    if (system) {
      yield `${system}|`;
    }
    if (value) {
      yield `${system}|${value}`;
    }
    if (value && !value.includes("|")) {
      yield value;
    }
  }
}
