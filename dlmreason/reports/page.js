// Fills the places that the page leaves for figures and the trace player from the JSON inside it.
"use strict";

const AXES = {
  flops: ["FLOPs", "FLOPs spent on a puzzle", flops],
  nfe: ["calls made", "network calls made for a puzzle, mean", count],
  depth: ["depth", "network calls that had to wait for one another, mean", count],
  rung: ["budget", "budget: passes, or what they buy", count],
};
for (const [key, text] of Object.entries(data.axes || {})) AXES[key] = [text, `${text}, of a puzzle`, (value) => `${Number(value.toPrecision(3))} s`];

function pointText(arm, point) {
  const timed = Object.entries(data.axes || {}).filter(([key]) => key in point).map(([key, text]) => `\n${text}: ${Number(point[key].toPrecision(3))} s`);
  return `${arm.name}\n${percent(point.accuracy)} [${(100 * point.low).toFixed(1)}, ${(100 * point.high).toFixed(1)}], n = ${count(point.n)}\n` +
    `budget ${count(point.rung)}: ${count(point.nfe)} calls made, depth ${count(point.depth)}\n${flops(point.flops)} a puzzle${timed.join("")}`;
}

// Rising lines of what is right, or falling ones of what is wrong, on a logarithmic axis where few errors are left.
const HEIGHTS = {
  right: (point) => ({ y: point.accuracy, low: point.low, high: point.high }),
  wrong: (point) => ({ y: 1 - point.accuracy, low: 1 - point.high, high: 1 - point.low }),
};

function accuracyFigure(root) {
  const hidden = new Set(data.hidden || []);
  let axis = "flops", height = "right";
  const missing = html("p", { class: "note" });
  function spec() {
    const [, xLabel, xText] = AXES[axis];
    const arms = data.arms.filter((arm) => !hidden.has(arm.name));
    const series = arms.map((arm) => ({
      name: arm.name, colour: arm.colour, dashed: arm.companion,
      points: arm.points.filter((point) => point[axis] > 0).sort((a, b) => a[axis] - b[axis] || a.rung - b.rung)
        .map((point) => ({ x: point[axis], n: point.n, text: pointText(arm, point), ...HEIGHTS[height](point) })),
    }));
    const without = arms.filter((_, i) => !series[i].points.length).map((arm) => arm.name);
    missing.textContent = [
      without.length ? `Not on this axis, since nothing was measured: ${without.join(", ")}.` : "",
      height === "wrong" ? "Where nothing is wrong a point stands on the lowest line." : "",
    ].join(" ").trim();
    const least = Math.min(0.1, ...data.arms.flatMap((arm) => arm.points.map((point) => 0.5 / point.n)));
    const y = height === "right" ? { yMax: 1 } : { yLog: [least, 1] };
    return { label: `${height} answers against ${xLabel}, ${series.length} curves`, height: innerWidth < 700 ? 300 : 400, series, xLabel, yLabel: `share ${height}`, xText, twos: axis === "rung", yText: height === "right" ? wholePercent : finePercent, names: true, ...y };
  }
  const shown = figure("Accuracy against compute", spec());
  const redraw = () => shown.draw(spec());
  const known = (key) => data.arms.some((arm) => arm.points.some((point) => point[key] > 0));
  const options = Object.entries(AXES).filter(([key]) => known(key)).map(([key, [text]]) => [key, text]);
  const across = choices("axis", "Horizontal axis, logarithmic", options, axis, (value) => { axis = value; redraw(); });
  const up = choices("height", "Vertical axis", [["right", "right"], ["wrong", "wrong, log"]], height, (value) => { height = value; redraw(); });
  root.append(html("div", { class: "row" }, across, up), shown.node, missing, chips("Arms shown", data.arms.map((arm) => ({ ...arm, dashed: arm.companion })), hidden, redraw));
  const kinds = { md: "Markdown", tex: "LaTeX" }, files = Object.entries(data.tables || {}).filter(([, text]) => text);
  if (files.length) root.append(html("div", { class: "row" }, html("span", { class: "over" }, "The table of all budgets:"), ...files.map(([kind, text]) => button(kinds[kind], () => save(`table.${kind}`, "text/plain", text)))));
}

tableFiles();
const FILL = { accuracy: accuracyFigure, mind: changeOfMind, walks: commitPasses, calibration: reliability, training: learningCurves, player: tracePlayer };
for (const root of document.querySelectorAll("[data-fill]")) FILL[root.dataset.fill](root);
fitAll();
