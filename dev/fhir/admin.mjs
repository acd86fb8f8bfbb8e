/** What tests ask of the server beside FHIR: how much was asked of it, and to fail on purpose (`/_dev/…`). */

/** Requests by method and kind of route, and the sizes of their bodies. */
export class Stats {
  constructor() {
    this.reset();
  }

  reset() {
    Object.assign(this, { requests: {}, total: 0, bytes_in: 0, bytes_out: 0 });
  }

  received(label, bytes) {
    this.requests[label] = (this.requests[label] ?? 0) + 1;
    this.total += 1;
    this.bytes_in += bytes;
  }

  sent(bytes) {
    this.bytes_out += bytes;
  }
}

/** The rules of `POST /_dev/faults`: the first one that fits a request and fires decides. */
export class Faults {
  #rules = [];

  replace(rules) {
    this.#rules = rules.map((rule) => ({ ...rule, left: rule.times ?? Infinity, random: seeded(rule.seed ?? 1) }));
  }

  pick(route, body) {
    return this.#rules.find((rule) => {
      const fits = ["*", undefined, route].includes(rule.route) && (!rule.holds || body.includes(rule.holds));
      const meant = fits && rule.left > 0;
      const fires = meant && rule.random() < (rule.probability ?? 1);
      rule.left -= fires ? 1 : 0;
      return fires;
    });
  }
}

/** Issue codes of R4 that fit a status; clients decide by the code whether to try again. */
const ISSUE_CODES = {
  401: "login",
  403: "forbidden",
  404: "not-found",
  408: "timeout",
  409: "conflict",
  410: "deleted",
  412: "conflict",
  429: "throttled",
  500: "exception",
  502: "transient",
  503: "transient",
  504: "timeout",
};

/** The OperationOutcome of a fault that answers with a status. */
export function faultOutcome(status) {
  const issue = { severity: "error", code: ISSUE_CODES[status] ?? "processing" };
  return { resourceType: "OperationOutcome", issue: [{ ...issue, diagnostics: `Fault on request: ${status}` }] };
}

/** A small linear congruential generator (constants of Numerical Recipes): the same faults in every run. */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
