// Curves with intervals in plain SVG: one function for the large figure and the small ones. Texts are set, never parsed.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const MARKS = [
  "M4.2 0A4.2 4.2 0 1 1-4.2 0 4.2 4.2 0 1 1 4.2 0Z", "M-3.8-3.8H3.8V3.8H-3.8Z", "M0-4.8 4.6 3.4H-4.6Z", "M0-5 5 0 0 5-5 0Z",
  "M0 4.8-4.6-3.4H4.6Z", "M-1.6-4.8H1.6V-1.6H4.8V1.6H1.6V4.8H-1.6V1.6H-4.8V-1.6H-1.6Z", "M-4.6-2 -2-4.6 0-2.6 2-4.6 4.6-2 2.6 0 4.6 2 2 4.6 0 2.6-2 4.6-4.6 2-2.6 0Z",
];
// One more than there are marks: past the last colour a pair of colour and mark is still new.
const COLOURS = 8;

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key in node && typeof value !== "string") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

const data = JSON.parse(document.getElementById("data").textContent);

const wholePercent = (share) => Math.round(100 * share) + " %";
const finePercent = (share) => Number((100 * share).toPrecision(2)) + " %";
const percent = (share) => (100 * share).toFixed(1) + " %";
const [tenths, wholes] = [1, 0].map((maximumFractionDigits) => new Intl.NumberFormat("en-GB", { maximumFractionDigits }));
const count = (value) => (value < 100 ? tenths : wholes).format(value);

function flops(value) {
  for (const [size, unit] of [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (value >= size) return Number((value / size).toPrecision(3)) + " " + unit + "FLOP";
  return Math.round(value) + " FLOP";
}

function logTicks(low, high) {
  const decades = Math.log10(high / low), steps = decades < 1.7 ? [1, 2, 5] : decades < 3.5 ? [1, 3] : [1];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  return ticks;
}

function powersOfTwo(low, high, most) {
  const first = Math.floor(Math.log2(low)), last = Math.ceil(Math.log2(high));
  const step = Math.max(1, Math.ceil((last - first) / most));
  const ticks = [];
  for (let power = first; power <= last; power += step) if (2 ** power >= low * 0.999 && 2 ** power <= high * 1.001) ticks.push(2 ** power);
  return ticks;
}

function linearTicks(high) {
  const raw = high / 4, size = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * size).find((each) => each >= raw) || 1;
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
}

// Heights in order, each at least `gap` from the next, none outside low..high where there is room.
function apart(heights, gap, low, high) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const placed = [];
  let below = low - gap;
  for (const i of order) below = placed[i] = Math.max(heights[i], below + gap);
  let above = high + gap;
  for (const i of order.reverse()) above = placed[i] = Math.min(placed[i], above - gap);
  return placed;
}

const tip = document.getElementById("tip");
function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = (y - box.height - 12 < 8 ? y + 18 : y - box.height - 12) + "px";
}
const hideTip = () => { tip.hidden = true; };

const NAME = 16; // pixels from one name of a curve to the next

// Charts that stand nowhere yet. fitAll draws them once they do: a frame may be long in coming, on a busy machine or in
// a window that is not shown.
const unfitted = [];
function fitAll() { while (unfitted.length) unfitted.pop()(); }

// spec: {label, height, series: [{name, colour, dashed, points: [{x, y, low, high, n, text}]}], xLabel, yLabel, xText, yText, names}, and
// across either `linear: [from, to]`, with the `diagonal` or without, or a logarithmic axis with ticks at powers of two or not, `twos`; up to `yMax`, or `yLog: [from, to]`.
function chart(root, spec) {
  let current = spec, place = null, spots = [];
  root.classList.add("chart");
  const say = html("span", { class: "sr", "aria-live": "polite" });

  // Where a value of an axis lies in pixels, and its ticks.
  function across(series, edge, inner) {
    const most = Math.max(2, Math.floor(inner.width / 74)), start = edge.left + 8, long = inner.width - 16;
    if (current.linear) {
      const [from, to] = current.linear;
      return [(value) => start + (long * (value - from)) / (to - from), linearTicks(to - from).map((tick) => from + tick)];
    }
    const xs = series.flatMap((each) => each.points.map((point) => point.x));
    const low = xs.length ? Math.min(...xs) : 1, high = Math.max(low * 2, ...xs);
    const ticks = current.twos ? powersOfTwo(low, high, most) : logTicks(low, high);
    const kept = ticks.length > most ? ticks.filter((_, i) => i % Math.ceil(ticks.length / most) === 0) : ticks;
    return [(value) => start + (long * Math.log(value / low)) / Math.log(high / low), kept];
  }
  function up(edge, inner) {
    const bottom = edge.top + inner.height;
    if (current.yLog) {
      const [from, to] = current.yLog;
      return [(value) => bottom - (inner.height * Math.log(Math.max(value, from) / from)) / Math.log(to / from), logTicks(from, to)];
    }
    const ticks = current.yMax === 1 ? [0, 0.2, 0.4, 0.6, 0.8, 1] : linearTicks(current.yMax);
    return [(value) => bottom - (inner.height * value) / current.yMax, ticks];
  }

  function draw() {
    const width = root.clientWidth;
    if (!width) return;
    const series = current.series.filter((each) => each.points.length);
    const names = current.names && width > 640;
    const edge = { left: 46, right: names ? 10 + 7.4 * Math.max(0, ...series.map((each) => each.name.length)) : 12, top: 10, bottom: 40 };
    // Names need room: where there are too many, the dashed have none, and the chart grows with the others.
    const all = edge.top + edge.bottom + NAME * series.length;
    const named = !names ? [] : all > current.height ? series.filter((each) => !each.dashed) : series;
    const height = Math.max(current.height, edge.top + edge.bottom + NAME * named.length), inner = { width: width - edge.left - edge.right, height: height - edge.top - edge.bottom };
    const [X, xTicks] = across(series, edge, inner), [Y, yTicks] = up(edge, inner);
    const canvas = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: "0", role: "img", "aria-label": current.label + ". Arrow keys walk along the points." });
    for (const tick of yTicks) {
      canvas.append(svg("line", { class: "axis", x1: edge.left, x2: edge.left + inner.width, y1: Y(tick), y2: Y(tick) }));
      canvas.append(svg("text", { x: edge.left - 8, y: Y(tick) + 4, "text-anchor": "end" }, current.yText(tick)));
    }
    for (const tick of xTicks) {
      canvas.append(svg("line", { class: "axis", x1: X(tick), x2: X(tick), y1: edge.top + inner.height, y2: edge.top + inner.height + 5 }));
      canvas.append(svg("text", { x: X(tick), y: edge.top + inner.height + 19, "text-anchor": "middle" }, current.xText(tick)));
    }
    canvas.append(svg("text", { x: edge.left + inner.width / 2, y: height - 4, "text-anchor": "middle" }, current.xLabel));
    if (current.diagonal) {
      const [from, to] = current.linear;
      canvas.append(svg("line", { class: "axis", "stroke-dasharray": "5 4", x1: X(from), y1: Y(from), x2: X(to), y2: Y(to) }));
    }
    spots = [];
    series.forEach((each, row) => {
      const colour = `var(--a${each.colour % COLOURS})`;
      const points = each.points;
      if (points[0].low !== undefined && !each.dashed) {
        const band = [...points.map((p) => `${X(p.x)},${Y(p.high)}`), ...[...points].reverse().map((p) => `${X(p.x)},${Y(p.low)}`)];
        canvas.append(svg("polygon", { points: band.join(" "), fill: colour, "fill-opacity": 0.11 }));
      }
      canvas.append(svg("polyline", { points: points.map((p) => `${X(p.x)},${Y(p.y)}`).join(" "), fill: "none", stroke: colour, "stroke-width": each.dashed ? 1.6 : 2.2, "stroke-dasharray": each.dashed ? "5 4" : "none", "stroke-linejoin": "round" }));
      points.forEach((point, column) => {
        if (!each.dashed) canvas.append(svg("path", { d: MARKS[each.colour % MARKS.length], fill: colour, transform: `translate(${X(point.x)} ${Y(point.y)})` }));
        spots.push({ row, column, x: X(point.x), y: Y(point.y), text: point.text, point, colour });
      });
    });
    if (named.length) {
      const ends = named.map((each) => each.points[each.points.length - 1]);
      const heights = apart(ends.map((end) => Y(end.y)), NAME, edge.top + 4, edge.top + inner.height);
      named.forEach((each, i) => {
        const colour = `var(--a${each.colour % COLOURS})`, x = edge.left + inner.width;
        canvas.append(svg("path", { d: `M${X(ends[i].x) + 8} ${Y(ends[i].y)}L${x + 2} ${heights[i]}`, stroke: colour, "stroke-opacity": 0.3, fill: "none" }));
        const text = svg("text", { class: "label", x: x + 6, y: heights[i] + 4 }, each.name);
        text.style.fill = colour;
        canvas.append(text);
      });
    }
    const ring = svg("circle", { r: 8, fill: "none", "stroke-width": 2, visibility: "hidden" });
    canvas.append(ring);

    function mark(spot, spoken) {
      place = spot ? [spot.row, spot.column] : null;
      ring.setAttribute("visibility", spot ? "visible" : "hidden");
      if (!spot) return hideTip();
      ring.setAttribute("cx", spot.x);
      ring.setAttribute("cy", spot.y);
      ring.setAttribute("stroke", spot.colour);
      const box = canvas.getBoundingClientRect();
      showTip(spot.text, box.left + spot.x, box.top + spot.y);
      if (spoken) say.textContent = spot.text;
    }
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let near = null, least = 60;
      for (const spot of spots) {
        const distance = Math.hypot(spot.x - x, spot.y - y);
        if (distance < least) [near, least] = [spot, distance];
      }
      mark(near, false);
    });
    canvas.addEventListener("pointerleave", () => mark(null));
    canvas.addEventListener("blur", () => mark(null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Escape") return mark(null);
      if (!step || !series.length) return;
      event.preventDefault();
      const row = place ? (place[0] + step[0] + series.length) % series.length : 0;
      const last = series[row].points.length - 1;
      const column = place ? Math.max(0, Math.min(last, place[1] + step[1])) : last;
      mark(spots.find((spot) => spot.row === row && spot.column === column), true);
    });
    place = null;
    root.replaceChildren(canvas, say);
  }

  let known = 0;
  function fit() { if (root.clientWidth !== known) { known = root.clientWidth; draw(); } }
  unfitted.push(fit);
  // Drawing inside the callback would be a resize loop; the next frame is soon enough.
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(root);
  return (next) => { current = next; draw(); };
}

function swatch(colour, dashed) {
  const line = svg("line", { x1: 0, x2: 24, y1: 7, y2: 7, stroke: `var(--a${colour % COLOURS})`, "stroke-width": 2.2, "stroke-dasharray": dashed ? "5 4" : "none" });
  const icon = svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, line);
  if (!dashed) icon.append(svg("path", { d: MARKS[colour % MARKS.length], fill: `var(--a${colour % COLOURS})`, transform: "translate(12 7)" }));
  return icon;
}

// A row of radio buttons that looks like one control.
function choices(name, label, options, chosen, change) {
  const group = html("fieldset", { class: "seg" }, html("legend", { class: "sr" }, label));
  options.forEach(([value, text], i) => {
    const input = html("input", { type: "radio", name, value: String(value), checked: value === chosen });
    input.addEventListener("change", () => change(value));
    group.append(html("label", {}, input, html("span", {}, text)));
  });
  return group;
}

// Buttons that hide and show curves. items: [{name, colour, dashed}].  hidden: a set of names, kept up to date.
function chips(label, items, hidden, change) {
  const group = html("div", { class: "chips", role: "group", "aria-label": label });
  for (const { name, colour, dashed } of items) {
    const chip = html("button", { class: "chip", type: "button", "aria-pressed": String(!hidden.has(name)) }, swatch(colour, dashed), name);
    chip.addEventListener("click", () => {
      hidden.has(name) ? hidden.delete(name) : hidden.add(name);
      chip.setAttribute("aria-pressed", String(!hidden.has(name)));
      change();
    });
    group.append(chip);
  }
  return group;
}
