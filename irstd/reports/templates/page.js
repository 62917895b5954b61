// A click on a column's head sorts the table by it, largest number first, then the other way.
const leading = /^[-\u2212+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/;
for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0];
  if (!body || !table.tHead || body.rows.length < 3) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const read = (row) => row.cells[column]?.textContent.trim() ?? "";
      const number = (text) => {
        const found = text.match(leading);
        return found ? Number(found[0].replaceAll(",", "").replace("\u2212", "-")) : NaN;
      };
      const rows = [...body.rows];
      const numeric = rows.filter((row) => !Number.isNaN(number(read(row)))).length * 2 > rows.length;
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => {
        if (!numeric) return read(a).localeCompare(read(b), "en", { numeric: true }) * (down ? -1 : 1);
        const [x, y] = [number(read(a)), number(read(b))];
        // Rows without a number come last, whichever way.
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return down ? y - x : x - y;
      };
      body.append(...rows.sort(order));
    });
  });
}
// The menu closes by Escape, or by a click beside it.
const menu = document.querySelector("details.menu");
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu?.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
});
