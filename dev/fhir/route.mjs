/** Names for requests: `kind` is what a fault rule asks for, `label` is what the statistics count. */

const CONDITIONAL = { POST: "create", PUT: "update", PATCH: "update", DELETE: "delete" };

export function routeOf(method, path, body) {
  if (path === undefined) {
    return { kind: "unknown", label: `${method} unknown`, type: "unknown" };
  }
  const [type, id, ...rest] = path.split("/").filter(Boolean);
  if (!type) {
    const bundle = body?.type === "transaction" ? "transaction" : "batch";
    const kind = method === "POST" ? bundle : "search";
    return { kind, label: `${method} ${kind}` };
  }
  if (type === "metadata" && method === "GET") {
    return { kind: "metadata", label: "GET metadata" };
  }
  const search = id === "_search" || (!id && method === "GET");
  if (search || !id) {
    const kind = search ? "search" : (CONDITIONAL[method] ?? "unknown");
    return { kind, type, label: `${method} ${type}${search ? "/_search" : ""}` };
  }
  const suffix = rest[0] === "_history" ? ["", "_history", "{vid}"].slice(0, rest.length + 1).join("/") : "";
  return { kind: kindOf(method, suffix), type, label: `${method} ${type}/{id}${suffix}` };
}

function kindOf(method, suffix) {
  if (method === "GET") {
    return suffix ? "history" : "read";
  }
  return CONDITIONAL[method] ?? "unknown";
}
