/**
 * Medplum's MemoryRepository plus what Medplum's own server has and the memory one lacks: validation, unchanged
 * updates, deleted ids, page sizes, transactions that roll back. Identifier and reference searches are answered from
 * an index; every other filter is still evaluated by Medplum.
 */
import {
  DEFAULT_MAX_SEARCH_COUNT,
  DEFAULT_SEARCH_COUNT,
  OperationOutcomeError,
  badRequest,
  deepClone,
  deepEquals,
  formatSearchQuery,
  getSearchParameter,
  gone,
  notFound,
  validateResource,
} from "@medplum/core";
import { MemoryRepository } from "@medplum/fhir-router";
import { historyBundle } from "./history.mjs";
import { SearchIndex } from "./search-index.mjs";

/** A study that grows by one instance 10,000 times must not keep 10,000 copies of itself. */
const HISTORY_LIMIT = 50;

export class TransactionalRepository extends MemoryRepository {
  base = "";
  /** Whether an update of an unknown id creates it, as on Microsoft's server and HAPI. On Medplum's it does not. */
  updateCreates = false;
  /** `Type/id` of what the open transaction created so. */
  created = new Set();
  #index = new SearchIndex();
  #journal;
  #undo; // the open transaction: prior states of what it touched, oldest first

  /** @param journal where committed changes go: `append(changes)`, `truncate()` */
  constructor(journal) {
    super();
    this.#journal = journal;
  }

  // --- writes -------------------------------------------------------------------------------------------------

  /** The one place where Medplum stores a resource, creations and updates alike. */
  createResourceSync(resource, options, update = false) {
    validateResource(resource);
    const { id: _, ...anonymous } = resource;
    // a client's id counts on update only; creations get a new one
    const accepted = update || options?.assignedId ? resource : anonymous;
    const before = this.#state(resource.resourceType, accepted.id);
    const stored = super.createResourceSync(accepted, options, update);
    this.#touched({ ...before, id: stored.id });
    const history = this.history.get(stored.resourceType).get(stored.id);
    if (history.length > HISTORY_LIMIT) {
      history.shift();
    }
    return stored;
  }

  async updateResource(resource, options) {
    const { current, history } = this.#state(resource.resourceType, resource.id);
    if (!current && !history) {
      if (!this.updateCreates || options?.ifMatch) {
        throw new OperationOutcomeError(notFound);
      }
      this.created.add(`${resource.resourceType}/${resource.id}`);
      return deepClone(this.createResourceSync(resource, { assignedId: true }, false));
    }
    const stale = options?.ifMatch && current?.meta.versionId !== options.ifMatch;
    if (current && !stale && unchanged(current, resource)) {
      return deepClone(current); // no new version
    }
    return super.updateResource(resource, current ? options : undefined);
  }

  async deleteResource(resourceType, id, options) {
    const before = this.#state(resourceType, id);
    if (!before.current && before.history) {
      return; // already deleted: done, as on Medplum's server
    }
    await super.deleteResource(resourceType, id, options);
    this.#touched(before);
  }

  #state(type, id) {
    const history = this.history.get(type)?.get(id);
    return { type, id, current: this.resources.get(type)?.get(id), history: history && [...history] };
  }

  #touched(before) {
    this.#index.replace(before.current, this.resources.get(before.type)?.get(before.id));
    this.#undo.push(before);
  }

  // --- transactions -------------------------------------------------------------------------------------------

  /** All or nothing. An inner transaction joins the outer one. Callers run one at a time, so all are serialisable. */
  async withTransaction(callback) {
    if (this.#undo) {
      return callback(this);
    }
    this.#undo = [];
    this.created.clear();
    try {
      const result = await callback(this);
      this.#commit();
      return result;
    } catch (error) {
      this.#undo.reverse().forEach((before) => this.#restore(before));
      throw error;
    } finally {
      this.#undo = undefined;
    }
  }

  #commit() {
    const touched = new Map(this.#undo.map(({ type, id }) => [`${type}/${id}`, { type, id }]));
    const changes = [...touched.values()].map((key) => ({ ...key, resource: this.#state(key.type, key.id).current }));
    if (changes.length) {
      this.#journal.append(changes);
    }
  }

  #restore({ type, id, current, history }) {
    this.#index.replace(this.resources.get(type)?.get(id), current);
    put(this.resources, type, id, current);
    put(this.history, type, id, history);
  }

  /** Take over what a journal remembers; `changes` as they were appended. */
  replay(changes) {
    for (const { type, id, resource } of changes) {
      const { history = [] } = this.#state(type, id);
      const versions = resource ? [...history, resource] : history;
      this.#restore({ type, id, current: resource, history: versions.slice(-HISTORY_LIMIT) });
    }
  }

  clear() {
    super.clear();
    this.#index.clear();
    this.#journal.truncate();
  }

  all() {
    return [...this.resources.values()].flatMap((resources) => [...resources.values()]);
  }

  // --- reads --------------------------------------------------------------------------------------------------

  async readResource(resourceType, id) {
    const { current, history } = this.#state(resourceType, id);
    if (!current) {
      throw new OperationOutcomeError(history ? gone : notFound);
    }
    return deepClone(current);
  }

  /** A former version stays readable after the deletion, as on Medplum's server. */
  async readVersion(resourceType, id, versionId) {
    const versions = this.history.get(resourceType)?.get(id) ?? [];
    const found = versions.find(({ meta }) => meta.versionId === versionId);
    if (!found) {
      throw new OperationOutcomeError(notFound);
    }
    return deepClone(found);
  }

  async readHistory(resourceType, id) {
    const { current, history } = this.#state(resourceType, id);
    if (!history) {
      throw new OperationOutcomeError(notFound);
    }
    return historyBundle(`${this.base}/${resourceType}/${id}`, `${resourceType}/${id}`, history, !current);
  }

  async search(request) {
    const count = Math.min(request.count ?? DEFAULT_SEARCH_COUNT, DEFAULT_MAX_SEARCH_COUNT);
    const bundle = await super.search({ ...request, count });
    const { total } = bundle;
    if (!request.total || request.total === "none") {
      delete bundle.total;
    }
    for (const entry of bundle.entry ?? []) {
      entry.fullUrl = `${this.base}/${entry.resource.resourceType}/${entry.resource.id}`;
    }
    return { ...bundle, link: this.#links({ ...request, count }, total) };
  }

  #links(request, total) {
    const url = (offset) => `${this.base}/${request.resourceType}${formatSearchQuery({ ...request, offset })}`;
    const following = (request.offset ?? 0) + request.count;
    const next = request.count && following < total ? [{ relation: "next", url: url(following) }] : [];
    return [{ relation: "self", url: url(request.offset) }, ...next];
  }

  /** Medplum evaluates what the index leaves over. Nothing else can run before the candidates are put back. */
  searchSync(request) {
    request.filters?.forEach(({ code }) => checkParameter(request.resourceType, code));
    const everything = this.resources.get(request.resourceType) ?? new Map();
    const { candidates = everything, filters } = this.#index.narrow(everything, request.filters ?? []);
    const paged = !filters.length && !request.sortRules;
    const { offset = 0, count = Infinity } = request;
    const looked = paged ? new Map(candidates.entries().drop(offset).take(count)) : candidates;
    this.resources.set(request.resourceType, looked);
    try {
      const bundle = super.searchSync({ ...request, filters, ...(paged && { offset: 0 }) });
      return paged ? { ...bundle, total: candidates.size } : bundle;
    } finally {
      this.resources.set(request.resourceType, everything);
    }
  }
}

/** Whether an update says nothing new; the version and time that a client sends, or leaves out, do not count. */
function unchanged(current, resource) {
  const { versionId, lastUpdated } = current.meta;
  return deepEquals(current, { ...resource, meta: { ...resource.meta, versionId, lastUpdated } });
}

/** Medplum's server refuses what its memory repository would quietly never match. */
function checkParameter(resourceType, code) {
  if (code.startsWith("_has:") || code === "_has") {
    throw new OperationOutcomeError(badRequest("_has is not available on this server"));
  }
  if (!code.includes(".") && !getSearchParameter(resourceType, code)) {
    throw new OperationOutcomeError(badRequest(`Unknown search parameter: ${code}`));
  }
}

function put(maps, type, id, value) {
  if (value === undefined) {
    maps.get(type)?.delete(id);
  } else {
    maps.set(type, maps.get(type) ?? new Map()).get(type).set(id, value);
  }
}
