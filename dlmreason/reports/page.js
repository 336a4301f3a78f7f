// Fills the places that the page leaves for charts and the trace player from the JSON inside it.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

const AXES = {
  flops: ["FLOPs", "FLOPs spent on a puzzle", flops],
  nfe: ["passes made", "network calls made for a puzzle, mean", count],
  depth: ["depth", "network calls that had to wait for one another, mean", count],
  rung: ["budget", "budget: passes, or what they buy", count],
};

function pointText(arm, point) {
  return `${arm.name}\n${percent(point.accuracy)} [${(100 * point.low).toFixed(1)}, ${(100 * point.high).toFixed(1)}], n = ${count(point.n)}\n` +
    `budget ${count(point.rung)}: ${count(point.nfe)} passes made, depth ${count(point.depth)}\n${flops(point.flops)} a puzzle`;
}

function accuracyFigure(root) {
  const hidden = new Set();
  let axis = "flops";
  const place = html("div");
  function spec() {
    const [, xLabel, xText] = AXES[axis];
    const series = data.arms.filter((arm) => !hidden.has(arm.name)).map((arm) => ({
      name: arm.name, colour: arm.colour, dashed: arm.companion,
      points: arm.points.filter((point) => point[axis] > 0).sort((a, b) => a[axis] - b[axis] || a.rung - b.rung)
        .map((point) => ({ x: point[axis], y: point.accuracy, low: point.low, high: point.high, text: pointText(arm, point) })),
    }));
    return { label: `Right answers against ${xLabel}, ${series.length} curves`, height: innerWidth < 700 ? 300 : 400, series, xLabel, xText, twos: axis !== "flops", yMax: 1, yText: (v) => Math.round(100 * v) + " %", names: true };
  }
  const redraw = chart(place, spec());
  const chips = html("div", { class: "chips", role: "group", "aria-label": "Arms shown" });
  for (const arm of data.arms) {
    const chip = html("button", { class: "chip", type: "button", "aria-pressed": "true" }, swatch(arm.colour, arm.companion), arm.name);
    chip.addEventListener("click", () => {
      hidden.has(arm.name) ? hidden.delete(arm.name) : hidden.add(arm.name);
      chip.setAttribute("aria-pressed", String(!hidden.has(arm.name)));
      redraw(spec());
    });
    chips.append(chip);
  }
  const options = Object.entries(AXES).map(([key, [text]]) => [key, text]);
  root.append(html("div", { class: "row" }, choices("axis", "Horizontal axis", options, axis, (value) => { axis = value; redraw(spec()); })), place, chips);
}

const PANELS = [
  ["Set right and set wrong", "committed tokens changed, per 1,000 passes", (row) => [["wrong to right", 2, row.per_1000.wrong_to_right], ["right to wrong", 0, row.per_1000.right_to_wrong]], count],
  ["Best canvas and last canvas", "right answers", (row) => [["best kept", 1, row.accuracy, row], ...(row.last ? [["last canvas", 4, row.last.accuracy, row.last]] : [])], percent],
  ["Rows still alive", "share that had not settled", (row) => [["alive", 3, row.alive]], percent],
  ["Passes spent", "mean a row, against the budget", (row) => [["passes made", 1, row.nfe], ["doubts", 3, row.totals.doubted / row.n]], count],
];

function changeOfMind(root) {
  const arms = Object.keys(data.revisions);
  const places = PANELS.map(() => html("div"));
  const redraws = [];
  function specs(arm) {
    return PANELS.map(([title, , pick, text]) => {
      const series = new Map();
      for (const row of data.revisions[arm])
        for (const [name, colour, y, interval] of pick(row)) {
          if (!series.has(name)) series.set(name, { name, colour, dashed: name === "last canvas", points: [] });
          const point = { x: row.rung, y, text: `${name}: ${text(y)}\nbudget ${count(row.rung)}, n = ${count(row.n)}` };
          if (interval) Object.assign(point, { low: interval.low, high: interval.high });
          series.get(name).points.push(point);
        }
      const share = text === percent;
      const top = Math.max(1e-9, ...[...series.values()].flatMap((each) => each.points.map((point) => point.y)));
      return { label: `${title}, ${arm}`, height: 230, series: [...series.values()], xLabel: "budget in passes", xText: count, twos: true, yMax: share ? 1 : top * 1.08, yText: share ? (v) => Math.round(100 * v) + " %" : count };
    });
  }
  const grid = html("div", { class: "multiples" });
  specs(arms[0]).forEach((spec, i) => {
    const keys = html("ul", { class: "keys" });
    for (const each of spec.series) keys.append(html("li", {}, swatch(each.colour, each.dashed), each.name));
    grid.append(html("div", {}, html("h3", {}, PANELS[i][0]), html("p", { class: "over" }, PANELS[i][1]), keys, places[i]));
    redraws.push(chart(places[i], spec));
  });
  if (arms.length > 1)
    root.append(html("div", { class: "row" }, choices("mind", "Arm", arms.map((arm) => [arm, arm]), arms[0], (arm) => specs(arm).forEach((spec, i) => redraws[i](spec)))));
  root.append(grid);
}

function learningCurves(root) {
  const grid = html("div", { class: "multiples" });
  data.training.forEach((model, i) => {
    const place = html("div"), points = model.points.map(([step, loss]) => ({ x: step, y: loss, text: `${model.name}\nupdate ${count(step)}: loss ${loss.toPrecision(3)}` }));
    const top = Math.max(1e-9, ...points.map((point) => point.y));
    grid.append(html("div", {}, html("h3", {}, model.name), place));
    chart(place, { label: `Training loss of ${model.name}`, height: 200, series: [{ name: model.name, colour: i % 8, dashed: true, points }], xLabel: "updates", xText: count, twos: false, yMax: top * 1.05, yText: (v) => v.toPrecision(2) });
  });
  root.append(grid);
}

const FILL = { accuracy: accuracyFigure, mind: changeOfMind, training: learningCurves, player: tracePlayer };
for (const root of document.querySelectorAll("[data-fill]")) FILL[root.dataset.fill](root);
fitAll();
