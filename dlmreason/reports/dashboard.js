// Fills the places that a dashboard leaves for its panels from the JSON inside it: curves, tables to be searched, links.
"use strict";

const SHOWN = 25; // rows of a table at a time

const short = (value) => (value === 0 ? "0" : Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4))));

function curvesPanel(panel) {
  const place = html("div"), keys = html("ul", { class: "keys" });
  const top = Math.max(1e-9, ...panel.curves.flatMap((curve) => curve.points.map((point) => point[1])));
  const alone = panel.along === "update";
  const series = panel.curves.map((curve, i) => ({
    name: curve.label, colour: i, dashed: alone,
    points: curve.points.map(([x, y]) => ({ x, y, text: `${curve.name}\n${panel.along} ${panel.along === "flops" ? flops(x) : count(x)}: ${short(y)}` })),
  }));
  for (const each of series) keys.append(html("li", {}, swatch(each.colour, each.dashed), each.name));
  chart(place, { label: panel.title, height: 230, series, xLabel: panel.along, xText: panel.along === "flops" ? flops : count, twos: panel.along === "budget" || panel.along === "passes", yMax: top * 1.05, yText: short });
  return html("div", {}, html("h3", {}, panel.title), keys, place);
}

// Every word that is typed into a column's box has to be in that column; so many rows are shown.
function tablePanel(panel) {
  const body = html("tbody"), said = html("p", { class: "note", "aria-live": "polite" });
  const boxes = panel.columns.map((name) => html("input", { class: "btn", type: "search", size: 8, "aria-label": `only rows whose ${name} holds` }));
  const text = (cell) => (cell === null ? "–" : typeof cell === "number" && !Number.isInteger(cell) ? short(cell) : String(cell));
  function fill() {
    const wanted = boxes.map((box) => box.value.trim().toLowerCase());
    const found = panel.rows.filter((row) => row.every((cell, i) => !wanted[i] || text(cell).toLowerCase().includes(wanted[i])));
    body.replaceChildren(...found.slice(0, SHOWN).map((row) => html("tr", {}, ...row.map((cell) => html("td", {}, text(cell))))));
    said.textContent = `${count(found.length)} of ${count(panel.rows.length)} rows` + (found.length > SHOWN ? `, the first ${SHOWN} shown` : "");
  }
  for (const box of boxes) box.addEventListener("input", fill);
  fill();
  const head = html("thead", {}, html("tr", {}, ...panel.columns.map((name) => html("th", { scope: "col" }, name))), html("tr", {}, ...boxes.map((box) => html("td", {}, box))));
  return html("div", {}, html("h3", {}, panel.title), said, html("div", { class: "scroll" }, html("table", {}, head, body)));
}

const linkPanel = (panel) => html("p", {}, html("a", { href: panel.file }, `${panel.title}: ${panel.file}`));

for (const root of document.querySelectorAll("[data-panels]")) {
  const panels = data.sections[Number(root.dataset.panels)], grid = html("div", { class: "multiples" });
  for (const panel of panels) {
    if (panel.curves) grid.append(curvesPanel(panel));
    else root.append(panel.rows ? tablePanel(panel) : linkPanel(panel));
  }
  root.prepend(grid);
}
fitAll();
