// Microsoft's own parser of KQL: what it has to say of each query, given the tables. JSON in, JSON out.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(new URL("../../dev/fhir/package.json", import.meta.url));
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { GlobalState, KustoCode, Symbols } = Kusto.Language;
const { tables, queries } = JSON.parse(await text(process.stdin));
const symbols = Object.entries(tables).map(([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`).join(", ");
  return new Symbols.TableSymbol.$ctor7(name, `(${schema})`, null);
});
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", symbols));

const said = {};
for (const [name, query] of Object.entries(queries)) {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  said[name] = [];
  for (let index = 0; index < found.Count; index++) {
    const one = found.getItem(index);
    said[name].push(`${one.Severity}: ${one.Message} (at ${query.slice(one.Start, one.Start + one.Length)})`);
  }
}
console.log(JSON.stringify(said));
