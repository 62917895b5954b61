const { columns, rows, start, sources, stated } = JSON.parse(document.getElementById("rows").textContent);
const { jQuery: $ } = await import(LIBRARY);
const dark = matchMedia("(prefers-color-scheme: dark)");  // the library looks for a class
const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();
const at = Object.fromEntries(columns.map((name, place) => [name, place]));
// Shown columns: title, what is read of a row, digits, and a factor.
const SCORES = [["IoU %", "iou", 2, 100], ["nIoU %", "niou", 2, 100], ["Pd %", "pd", 2, 100],
  ["Fa ×1e-6", "fa_per_million", 2, 1], ["F1 %", "f1", 2, 100], ["point F1 % at 5 px", "point_f1", 2, 100]];
const WORDS = [["method", "method"], ["dataset", "dataset"], ["split", "split"], ["convention", "convention"],
  ["size", "size"], ["labels", "labels"], ["budget", "budget"], ["made by", "made by"]];
const text = value => String(value).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const value = (row, name) => row[at[name]];
const number = (row, [, name, digits, factor]) => {
  const one = value(row, name);
  if (one === null) return "–";
  const low = at[`${name}_low`] === undefined ? null : value(row, `${name}_low`);
  const ends = low === null ? "" : ` [${(factor * low).toFixed(1)}, ${(factor * value(row, `${name}_high`)).toFixed(1)}]`;
  return (factor * one).toFixed(digits) + ends;
};
const chosen = new Set();

const word = ([title, name]) => ({ title, data: null, render: row => text(value(row, name)) });
// Rows without a figure come last, whichever way it is sorted.
const sorted = sign => (a, b) => a === null || b === null ? (a === null) - (b === null) : sign * (a - b);
Object.assign($.fn.dataTable.ext.type.order, { "figure-asc": sorted(1), "figure-desc": sorted(-1) });
const score = one => ({
  title: one[0], data: null, className: "interval dt-right", type: "figure",
  render: (row, kind) => kind === "display" || kind === "filter" ? number(row, one) : value(row, one[1]),
});
const table = $("#board").DataTable({
  data: rows, order: [[WORDS.length, "desc"]], pageLength: 50, lengthMenu: [25, 50, 100, -1], deferRender: true,
  layout: { topStart: "pageLength", topEnd: null, bottomStart: "info", bottomEnd: "paging" },
  language: { lengthLabels: { "-1": "all" }, lengthMenu: "rows _MENU_", info: "_TOTAL_ rows", infoFiltered: "of _MAX_" },
  columns: [
    { title: "method", data: null, className: "method", render: (row, kind, _all, where) => kind !== "display" ? text(value(row, "method"))
      : `<label><input type="checkbox" data-row="${where.row}"${chosen.has(where.row) ? " checked" : ""}> ${text(value(row, "method"))}</label>` },
    ...WORDS.slice(1).map(word), ...SCORES.map(score),
    { title: "parameters", data: null, type: "figure", className: "dt-right", render: (row, kind) => {
      const many = value(row, "parameters");
      return kind === "display" || kind === "filter" ? (many === null ? "–" : many.toLocaleString("en")) : many; } },
    { title: "source", data: null, orderable: false, className: "source",
      render: (row, kind) => kind === "display" ? `<span title="${text(value(row, "source"))}">${text(value(row, "source"))}</span>` : text(value(row, "source")) },
  ],
});

const selects = [...document.querySelectorAll("select[data-column]")];
const restrict = () => {
  const wanted = selects.map(one => [at[one.dataset.column], one.value]).filter(([, word]) => word !== "");
  table.search.fixed("choices", (_text, row) => wanted.every(([place, word]) => row[place] === word
    // What a paper states stays beside every convention, and says so.
    || (columns[place] === "convention" && row[place] === stated)));
  table.draw();
};
for (const select of selects) {
  const name = select.dataset.column;
  const words = [...new Set(rows.map(row => value(row, name)))].sort();
  select.innerHTML = ['<option value="">all</option>', ...words.map(one => `<option>${text(one)}</option>`)].join("");
  select.value = start[name] ?? "";
  select.addEventListener("change", restrict);
}
document.getElementById("search").addEventListener("input", event => table.search(event.target.value).draw());
restrict();

const compare = () => {
  const place = document.getElementById("comparison");
  const clear = `<p class="act">Copies have the ${chosen.size === 1 ? "chosen row" : "two chosen rows"} alone. <button type="button">Clear the choice</button></p>`;
  if (chosen.size !== 2) { place.innerHTML = chosen.size === 1 ? `<p>Choose one more row to compare.</p>${clear}` : ""; return; }
  const [a, b] = [...chosen].map(one => rows[one]);
  const differ = WORDS.slice(1, 5).filter(([, name]) => value(a, name) !== value(b, name)).map(([title]) => title);
  const line = one => {
    const [x, y] = [value(a, one[1]), value(b, one[1])];
    const difference = x === null || y === null ? "–" : (one[3] * (y - x)).toFixed(2);
    const known = at[`${one[1]}_low`] !== undefined && [a, b].every(row => value(row, `${one[1]}_low`) !== null);
    const apart = known && (value(a, `${one[1]}_high`) < value(b, `${one[1]}_low`) || value(b, `${one[1]}_high`) < value(a, `${one[1]}_low`));
    return `<tr><th scope="row">${one[0]}</th><td>${number(a, one)}</td><td>${number(b, one)}</td><td>${difference}</td><td>${known ? (apart ? "apart" : "overlap") : "–"}</td></tr>`;
  };
  place.innerHTML = `<h2>Comparison</h2>${differ.length ? `<p>These differ in ${differ.join(", ")}: their figures cannot be compared as they stand.</p>` : ""}
    <div class="table" tabindex="0" role="region" aria-label="comparison"><table><thead><tr><th scope="col">score</th><th scope="col">${text(value(a, "method"))}</th><th scope="col">${text(value(b, "method"))}</th><th scope="col">second − first</th><th scope="col">intervals</th></tr></thead><tbody>${SCORES.map(line).join("")}</tbody></table></div>${clear}`;
};
document.getElementById("board").addEventListener("change", event => {
  const row = Number(event.target.dataset.row);
  if (!event.target.checked) chosen.delete(row);
  else {
    chosen.add(row);
    if (chosen.size > 2) {  // the oldest choice goes
      const [first] = chosen;
      chosen.delete(first);
      const box = table.row(first).node()?.querySelector("input");  // its page may be another
      if (box) box.checked = false;
    }
  }
  compare();
});
document.getElementById("comparison").addEventListener("click", event => {
  if (event.target.tagName !== "BUTTON") return;
  for (const one of chosen) { const box = table.row(one).node()?.querySelector("input"); if (box) box.checked = false; }
  chosen.clear();
  compare();
});

const LATEX = { "&": "\\&", "%": "\\%", "#": "\\#", "_": "\\_", "$": "\\$", "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\\": "\\textbackslash{}", "–": "--", "×": "$\\times$" };
const latex = one => [...one].map(c => LATEX[c] ?? c).join("");
const forms = {
  csv: (head, lines) => [head, ...lines].map(line => line.map(one => /[",\n]/.test(one) ? `"${one.replaceAll('"', '""')}"` : one).join(",")).join("\n"),
  markdown: (head, lines) => [head, head.map(() => "---"), ...lines].map(line => `| ${line.map(one => one.replaceAll("|", "\\|")).join(" | ")} |`).join("\n"),
  latex: (head, lines) => `\\begin{tabular}{${"l".repeat(WORDS.length)}${"r".repeat(SCORES.length)}}\n\\toprule\n${head.map(latex).join(" & ")} \\\\\n\\midrule\n${lines.map(line => `${line.map(latex).join(" & ")} \\\\`).join("\n")}\n\\bottomrule\n\\end{tabular}`,
};
const bibtex = every => {
  const found = new Map();
  for (const row of every) for (const [id, entry] of Object.entries(sources)) if (value(row, "source").includes(id)) found.set(id, entry);
  return [...found.values()].join("\n\n") || "% no row names an arXiv number or a DOI";
};
for (const button of document.querySelectorAll("button[data-form]")) button.addEventListener("click", async () => {
  const shown = chosen.size ? [...chosen].map(one => rows[one]) : table.rows({ search: "applied", order: "applied" }).data().toArray();
  const form = button.dataset.form, wide = form === "csv";  // what follows a table in a paper names its sources
  const head = [...WORDS, ...SCORES, ...wide ? [["source"]] : []].map(([title]) => title);
  const lines = shown.map(row => [...WORDS.map(([, name]) => String(value(row, name))), ...SCORES.map(one => number(row, one)), ...wide ? [value(row, "source")] : []]);
  const out = form === "bibtex" ? bibtex(shown) : forms[form](head, lines);
  let said = "Copied";
  try { await navigator.clipboard.writeText(out); } catch { said = "Copy this"; }
  const place = document.getElementById("copied");
  place.innerHTML = `<label for="copy">${said}: ${shown.length} rows</label><textarea id="copy" readonly></textarea>`;
  place.querySelector("textarea").value = out;
});
