// Sends the query of the form to this server and shows the answer as text, never as markup.
const SHOWN = 1000;
const byId = id => document.getElementById(id);

function cells(row, tag, texts) {
  for (const text of texts) row.appendChild(document.createElement(tag)).textContent = text;
}

function table(names, bindings) {
  const made = document.createElement("table");
  cells(made.createTHead().insertRow(), "th", names);
  const body = made.createTBody();
  for (const binding of bindings.slice(0, SHOWN)) {
    cells(body.insertRow(), "td", names.map(name => name in binding ? binding[name].value : ""));
  }
  return made;
}

function pre(text) {
  const made = document.createElement("pre");
  made.textContent = text;
  return made;
}

async function ask() {
  byId("state").textContent = "asking …";
  byId("answer").replaceChildren();
  const headers = { Accept: "application/sparql-results+json, text/turtle;q=0.9" };
  try {
    const answer = await fetch("/query", { method: "POST", headers, body: new URLSearchParams({ query: byId("query").value }) });
    const json = answer.ok && answer.headers.get("content-type").includes("json");
    if (!json) {
      byId("state").textContent = answer.ok ? "" : `refused (${answer.status})`;
      byId("answer").appendChild(pre(await answer.text()));
      return;
    }
    const found = await answer.json();
    if ("boolean" in found) {
      byId("state").textContent = String(found.boolean);
      return;
    }
    const rows = found.results.bindings;
    const more = rows.length > SHOWN ? `; the first ${SHOWN} are shown` : "";
    byId("state").textContent = `${rows.length} rows${more}`;
    byId("answer").appendChild(table(found.head.vars, rows));
  } catch (error) {
    byId("state").textContent = `no answer: ${error.message}`;
  }
}

byId("form").addEventListener("submit", event => { event.preventDefault(); ask(); });
for (const button of document.querySelectorAll("button.use")) {
  button.addEventListener("click", () => { byId("query").value = button.previousElementSibling.textContent; ask(); });
}
