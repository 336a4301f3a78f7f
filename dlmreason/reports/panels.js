// Figures of what a run measured more than accuracy: changes of mind, commit passes, what scores meant, training.
"use strict";

const PER = (row, name) => row.per_1000[name];
const PANELS = [
  ["Set right and set wrong", "committed tokens changed, per 1,000 passes from the start", (row) => [["wrong to right", 2, PER(row, "wrong_to_right")], ["right to wrong", 0, PER(row, "right_to_wrong")]], count],
  ["From each budget to the next", "the same, per 1,000 passes made in between", (row, before) => [["wrong to right", 2, between(row, before, "wrong_to_right")], ["right to wrong", 0, between(row, before, "right_to_wrong")]], count],
  ["Best canvas and last canvas", "right answers", (row) => [["best kept", 1, row.accuracy, row], ...(row.last ? [["last canvas", 4, row.last.accuracy, row.last]] : [])], percent],
  ["How many changed their mind", "share of puzzles with a token taken back or changed", (row) => [["revised", 5, row.triggered]], percent],
  ["Rows still alive", "share that had not settled", (row) => [["alive", 3, row.alive]], percent],
  ["Passes spent", "mean a row, against the budget", (row) => [["passes made", 1, row.nfe], ["doubts", 3, row.totals.doubted / row.n]], count],
];

function between(row, before, name) {
  const passes = row.n * row.nfe - (before ? before.n * before.nfe : 0);
  return passes > 0 ? (1000 * (row.totals[name] - (before ? before.totals[name] : 0))) / passes : 0;
}

function changeOfMind(root) {
  const arms = Object.keys(data.revisions), first = arms.find((arm) => data.revisions[arm].some((row) => row.triggered > 0)) || arms[0];
  function specs(arm) {
    return PANELS.map(([title, yLabel, pick, text]) => {
      const series = new Map();
      data.revisions[arm].forEach((row, i, ladder) => {
        for (const [name, colour, y, interval] of pick(row, ladder[i - 1])) {
          if (!series.has(name)) series.set(name, { name, colour, dashed: name === "last canvas", points: [] });
          const point = { x: row.rung, y, n: row.n, text: `${name}: ${text(y)}\nbudget ${count(row.rung)}, n = ${count(row.n)}` };
          if (interval) Object.assign(point, { low: interval.low, high: interval.high });
          series.get(name).points.push(point);
        }
      });
      const share = text === percent;
      const top = Math.max(0, ...[...series.values()].flatMap((each) => each.points.map((point) => point.y))) || 1;
      return { label: `${title}, ${arm}`, height: 230, series: [...series.values()], xLabel: "budget in passes", yLabel, xText: count, twos: true, yMax: share ? 1 : top * 1.08, yText: share ? wholePercent : count };
    });
  }
  const grid = html("div", { class: "multiples" });
  const drawn = specs(first).map((spec, i) => {
    const keys = html("ul", { class: "keys" }), shown = figure(PANELS[i][0], spec);
    for (const each of spec.series) keys.append(html("li", {}, swatch(each.colour, each.dashed), each.name));
    grid.append(html("div", {}, html("h3", {}, PANELS[i][0]), html("p", { class: "over" }, PANELS[i][1]), keys, shown.node));
    return shown;
  });
  if (arms.length > 1)
    root.append(html("div", { class: "row" }, choices("mind", "Arm", arms.map((arm) => [arm, arm]), first, (arm) => specs(arm).forEach((spec, i) => drawn[i].draw(spec)))));
  root.append(grid);
}

const colourOf = (arm, i) => (data.arms.find((each) => each.arm === arm) || { colour: i }).colour;

// A figure of shares from 0 to 1 with an arm a curve, and buttons that hide arms.
function byArm(root, name, arms, spec) {
  const hidden = new Set(arms.slice(6));
  const series = (arm) => ({ name: arm, colour: colourOf(arm, arms.indexOf(arm)), dashed: false, ...spec.curve(arm) });
  const shownArms = () => arms.filter((arm) => !hidden.has(arm));
  const now = () => ({ ...spec, ...(spec.fitted ? spec.fitted(shownArms()) : {}), series: shownArms().map(series) });
  const shown = figure(name, now());
  root.append(shown.node, chips(`Arms of: ${name}`, arms.map((arm) => ({ name: arm, colour: colourOf(arm, arms.indexOf(arm)) })), hidden, () => shown.draw(now())));
}

function commitPasses(root) {
  byArm(root, "Tokens that stand for good", Object.keys(data.walks), {
    label: "Share of tokens that change no more, by pass", height: 260, xLabel: "pass", yLabel: "share of tokens that change no more", xText: count, twos: true, yMax: 1, yText: wholePercent, names: true,
    curve: (arm) => ({ points: Object.entries(data.walks[arm].commits).map(([share, pass]) => ({ x: Math.max(1, pass), y: Number(share), n: data.walks[arm].n, text: `${arm}\n${percent(Number(share))} of the tokens stand from pass ${count(pass)} on\n${count(data.walks[arm].n)} walks` })) }),
  });
}

function reliability(root) {
  const least = (arms) => Math.floor(10 * Math.min(0.9, ...arms.flatMap((arm) => data.calibration[arm].bins.map((bin) => bin.score)))) / 10;
  byArm(root, "What a score means", Object.keys(data.calibration), {
    label: "Share right by score", height: 360, xLabel: "score, mean of a bin", yLabel: "right", xText: wholePercent, yMax: 1, yText: wholePercent, names: true,
    fitted: (arms) => ({ linear: [least(arms), 1], diagonal: true }),
    curve: (arm) => ({ points: data.calibration[arm].bins.map((bin) => ({ x: bin.score, y: bin.accuracy, low: bin.low, high: bin.high, n: bin.n, text: `${arm}\nscored ${bin.low_score.toFixed(3)} to ${bin.high_score.toFixed(3)}, mean ${bin.score.toFixed(3)}\n${percent(bin.accuracy)} right [${(100 * bin.low).toFixed(1)}, ${(100 * bin.high).toFixed(1)}], n = ${count(bin.n)}` })) }),
  });
}

function learningCurves(root) {
  const grid = html("div", { class: "multiples" });
  data.training.forEach((model, i) => {
    const points = model.points.map(([step, loss]) => ({ x: step, y: loss, text: `${model.name}\nupdate ${count(step)}: loss ${loss.toPrecision(3)}` }));
    const top = Math.max(1e-9, ...points.map((point) => point.y));
    const spec = { label: `Training loss of ${model.name}`, height: 200, series: [{ name: model.name, colour: i % 8, dashed: true, points }], xLabel: "updates", yLabel: "loss", xText: count, twos: false, yMax: top * 1.05, yText: (v) => v.toPrecision(2) };
    grid.append(html("div", {}, html("h3", {}, model.name), figure(`Training of ${model.name}`, spec).node));
  });
  root.append(grid);
}
