// What is drawn, as a table and as files: comma-separated values and SVG, made here and handed to the browser.
"use strict";

const fileName = (what) => [document.title, what].join(" ").replace(/[^\w.-]+/g, "_").slice(0, 100);

function save(what, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  html("a", { href: address, download: fileName(what) }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// A cell that a spreadsheet would take for a formula begins with an apostrophe; numbers stay as they are.
function csvCell(cell) {
  const text = String(cell), safe = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
const csv = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";

const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin", "font-size", "font-family", "font-weight", "text-anchor"];

// A node as it is seen: the colours that the page's style gives become its attributes.
function painted(node) {
  if (!node.tagName) return node.textContent;
  const style = getComputedStyle(node), copy = svg(node.tagName);
  for (const { name, value } of node.attributes) if (!["class", "style", "tabindex"].includes(name)) copy.setAttribute(name, value);
  for (const name of PAINT) copy.setAttribute(name, style.getPropertyValue(name));
  copy.append(...[...node.childNodes].map(painted));
  return copy;
}

function svgText(node) {
  const copy = painted(node), { width, height } = node.viewBox.baseVal;
  copy.setAttribute("width", width);
  copy.prepend(svg("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  return new XMLSerializer().serializeToString(copy);
}

function button(text, act, attributes) {
  const node = html("button", { type: "button", class: "btn", ...attributes }, text);
  node.addEventListener("click", act);
  return node;
}

// The points of a chart's spec as rows, the first a header.
function rowsOf(spec) {
  const header = ["curve", spec.xLabel, spec.yLabel, "95 % from", "95 % to", "n"];
  const rows = spec.series.flatMap((each) => each.points.map((point) => [each.name, point.x, point.y, point.low ?? "", point.high ?? "", point.n ?? ""]));
  const kept = header.map((_, i) => i < 3 || rows.some((row) => row[i] !== ""));
  return [header, ...rows].map((row) => row.filter((_, i) => kept[i]));
}

const brief = (cell) => (typeof cell === "number" ? String(Number(cell.toPrecision(6))) : cell);

function tableOf([header, ...rows], label) {
  const cells = (row) => row.map((cell, i) => (i ? html("td", {}, brief(cell)) : html("th", { scope: "row" }, brief(cell))));
  const head = html("tr", {}, ...header.map((each) => html("th", { scope: "col" }, each)));
  const body = rows.map((row) => html("tr", {}, ...cells(row)));
  return html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, html("table", {}, html("thead", {}, head), html("tbody", {}, ...body)));
}

// A chart with its data behind it. Returns {node, draw}: draw shows another spec.
function figure(name, spec) {
  const place = html("div"), held = html("div"), draw = chart(place, spec);
  let current = spec;
  const csvButton = button("Data as CSV", () => save(`${name}.csv`, "text/csv", csv(rowsOf(current))));
  const svgButton = button("Figure as SVG", () => save(`${name}.svg`, "image/svg+xml", svgText(place.querySelector("svg"))));
  const fold = html("details", { class: "data" }, html("summary", {}, "Data of this figure"), html("div", { class: "row" }, csvButton, svgButton), held);
  const fill = () => { if (fold.open) held.replaceChildren(tableOf(rowsOf(current), `Data: ${name}`)); };
  fold.addEventListener("toggle", fill);
  return { node: html("div", { class: "figure" }, place, fold), draw: (next) => { current = next; draw(next); fill(); } };
}

// Every table that came with the page can be had as a file, too.
function tableFiles() {
  for (const region of document.querySelectorAll("main .scroll[aria-label]")) {
    const name = region.getAttribute("aria-label");
    const text = (cell) => [...cell.childNodes].map((each) => each.textContent.trim()).filter(Boolean).join(" ");
    const rows = () => [...region.querySelectorAll("tr")].map((row) => [...row.children].map(text));
    region.after(html("p", { class: "files" }, button("CSV", () => save(`${name}.csv`, "text/csv", csv(rows())), { "aria-label": `${name} as CSV` })));
  }
}
