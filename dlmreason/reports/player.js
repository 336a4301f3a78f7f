// Shows a replay: a board, what the pass changed, a line of time, and the keys and buttons that walk along it.
"use strict";

function tracePlayer(root) {
  const board = html("div"), context = html("p", { class: "context" }), status = html("p", { class: "status" });
  const events = html("ul", { class: "events", tabindex: "0", "aria-label": "What this pass changed" });
  const about = html("p", { class: "note" }), gaps = html("p", { class: "note gaps" }), time = html("div"), aside = html("div", { class: "chains" });
  const chains = chainsBeside(aside);
  const slider = html("input", { type: "range", min: "0", value: "0", "aria-label": "Pass" });
  const button = (text, label, act, main) => {
    const node = html("button", { type: "button", class: main ? "btn main" : "btn", "aria-label": label, title: label }, text);
    node.addEventListener("click", act);
    return node;
  };
  let replay, state, cells = [], shape = null, timer = null, view = "canvas", cursor = null, speed = 4;

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    status.setAttribute("aria-live", "polite");
  }
  function toggle() {
    if (timer) return stop();
    if (state.at === replay.frames.length - 1) go(0);
    status.setAttribute("aria-live", "off");
    play.textContent = "Pause";
    timer = setInterval(() => (state.at < replay.frames.length - 1 ? go(state.at + 1) : stop()), 1000 / speed);
  }
  const step = (by) => { stop(); go(Math.max(0, Math.min(replay.frames.length - 1, state.at + by))); };
  const turn = (forward) => {
    stop();
    const next = forward ? replay.turns.find((i) => i > state.at) : replay.turns.findLast((i) => i < state.at);
    if (next !== undefined) go(next);
  };
  const play = button("Play", "Play or pause (space)", toggle, true);
  const nextTurn = button("Next change of mind", "Jump to the next change of mind (n)", () => turn(true));
  const pace = html("select", { class: "btn", "aria-label": "Speed" }, ...[1, 2, 4, 8, 16, 60].map((each) => html("option", { value: String(each), selected: each === speed }, `${each} / s`)));
  pace.addEventListener("change", () => { speed = Number(pace.value); if (timer) { stop(); toggle(); } });
  const numbers = html("input", { type: "checkbox" });
  numbers.addEventListener("change", () => board.classList.toggle("numbers", numbers.checked));
  slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });

  root.addEventListener("keydown", (event) => {
    const inside = event.target === slider ? "SLIDER" : event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || inside === "SELECT" || inside === "INPUT") return;
    if (inside === "SLIDER" && !["n", "p", " "].includes(event.key)) return; // it moves by itself
    const act = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => step(-Infinity), End: () => step(Infinity), n: () => turn(true), p: () => turn(false), " ": inside === "BUTTON" ? null : toggle }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // The cells that are shown: a board as it lies, or of a text all that is written, whatever the answer is of it.
  function grid({ layout, given, length }) {
    const { rows, columns, first } = layout, from = given.indexOf(false);
    if (rows > 1 || from < 0) return { rows, columns, first, count: Math.min(rows * columns, length - first) };
    const count = given.lastIndexOf(false) - from + 1;
    return { rows: 1, columns: count, first: from, count };
  }

  const name = (token) => replay.trace.symbols[token] ?? String(token);
  function where(position) {
    const { rows, columns, first } = shape, at = position - first;
    if (at < 0 || at >= rows * columns) return `position ${position + 1}`;
    return rows > 1 ? `row ${Math.floor(at / columns) + 1}, column ${(at % columns) + 1}` : `place ${at + 1}`;
  }

  function load(trace) {
    stop();
    replay = new Replay(trace);
    state = undefined;
    shape = grid(trace);
    const { rows, columns, first } = shape, { box_rows, box_columns } = trace.layout;
    const isLine = rows === 1;
    const long = [...replay.seen].some((token) => token !== trace.mask_id && name(token).length > 2);
    board.className = "board" + (isLine ? " line" : "") + (long ? " long" : "") + (numbers.checked ? " numbers" : "");
    board.style.gridTemplateColumns = isLine ? "" : `repeat(${columns}, minmax(0, 1fr))`;
    board.setAttribute("role", "group");
    board.setAttribute("tabindex", "0");
    board.setAttribute("aria-label", `${rows} rows of ${columns}`);
    cells = [];
    for (let at = 0; at < shape.count; at++) {
      const row = Math.floor(at / columns), column = at % columns;
      const cell = html("div"), parts = { cell, token: html("b"), event: html("i", { "aria-hidden": "true" }), wrong: html("em", { "aria-hidden": "true" }), bar: html("u"), quality: html("s") };
      parts.edges = [
        column === columns - 1 ? "edge-right" : box_columns && (column + 1) % box_columns === 0 ? "box-right" : "",
        row === rows - 1 ? "edge-below" : box_rows && (row + 1) % box_rows === 0 ? "box-below" : "",
      ].join(" ");
      cell.append(parts.token, parts.event, parts.wrong, parts.bar, parts.quality);
      cells.push(parts);
    }
    board.replaceChildren(...cells.map((parts) => parts.cell));
    const inside = (i) => i >= first && i < first + rows * columns;
    context.replaceChildren(...trace.start.map((_, i) => i).filter((i) => !inside(i) && trace.given[i]).map((i) => html("span", {}, name(trace.start[i]))));
    context.hidden = !context.childElementCount;
    about.textContent = trace.about;
    gaps.hidden = trace.thinned === null;
    if (!gaps.hidden) gaps.textContent = `Told pass by pass up to pass ${count(trace.thinned)}. After it the story has gaps: what is shown as one pass may be the work of several, and the last canvas is as it was.`;
    chains.load(trace);
    slider.max = String(replay.frames.length - 1);
    timeline();
    go(0);
  }

  function timeline() {
    const wide = 600, tall = 64, n = replay.frames.length, top = Math.max(most(replay.blanks), most(replay.wrongs));
    const X = (i) => (n > 1 ? (wide * i) / (n - 1) : 0), Y = (value) => tall - 6 - ((tall - 10) * value) / top;
    // More frames than pixels: each pixel shows the most that any of its frames has.
    const size = Math.ceil(n / wide);
    const thin = (values) => Array.from({ length: Math.ceil(n / size) }, (_, k) => [k * size, values.slice(k * size, (k + 1) * size).reduce((a, b) => Math.max(a, b), 0)]);
    const line = (values) => thin(values).map(([i, value]) => `${X(i)},${Y(value)}`).join(" ");
    const label = "Blanks" + (replay.trace.gold ? " and wrong tokens" : "") + " over the passes";
    const picture = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, preserveAspectRatio: "none", height: tall, class: "time", role: "img", "aria-label": label });
    picture.append(svg("polygon", { class: "blanks", points: `0,${tall - 6} ${line(replay.blanks)} ${X(n - 1)},${tall - 6}` }));
    if (replay.trace.gold) picture.append(svg("polyline", { class: "wrongs", "vector-effect": "non-scaling-stroke", points: line(replay.wrongs) }));
    for (const i of replay.turns.filter((_, k) => k % Math.ceil(replay.turns.length / wide) === 0)) picture.append(svg("line", { class: "tick", "vector-effect": "non-scaling-stroke", x1: X(i), x2: X(i), y1: tall - 4, y2: tall }));
    cursor = svg("line", { class: "cursor", "vector-effect": "non-scaling-stroke", y1: 0, y2: tall });
    picture.append(cursor);
    const point = (event) => {
      const box = picture.getBoundingClientRect();
      stop();
      go(Math.max(0, Math.min(n - 1, Math.round(((event.clientX - box.left) / box.width) * (n - 1)))));
    };
    picture.addEventListener("pointerdown", (event) => { picture.setPointerCapture(event.pointerId); point(event); });
    picture.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
    const keys = html("ul", { class: "keys" }, html("li", {}, "grey: blanks"));
    if (replay.trace.gold) keys.append(html("li", { class: "c-wrong" }, "line: wrong tokens"));
    keys.append(html("li", { class: "c-doubted" }, "ticks: changes of mind"));
    time.replaceChildren(picture, keys);
  }

  function go(i) {
    state = replay.seek(i, state);
    const { trace } = replay, { gold, mask_id } = trace, canvas = view === "canvas";
    const tokens = canvas ? state.tokens : state.answer;
    const now = new Map(canvas ? state.events.map((event) => [event.position, event]) : []);
    cells.forEach((parts, at) => {
      const position = shape.first + at, token = tokens[position], event = now.get(position), given = trace.given[position];
      const blank = token === mask_id, right = gold && !blank && !given ? token === gold[position] : null;
      const quality = canvas && !given ? state.quality[position] : null;
      const kind = given ? "given" : blank ? "blank" : right === null ? "plain" : right ? "right" : "wrong";
      parts.cell.className = ["cell", kind, event ? "now " + event.kind : "", parts.edges].join(" ");
      parts.token.textContent = event && event.kind === "doubted" ? name(event.from) : blank ? "·" : name(token);
      parts.event.textContent = event ? EVENTS[event.kind][0] : "";
      parts.wrong.textContent = kind === "wrong" && !event ? "×" : "";
      parts.bar.hidden = parts.quality.hidden = quality === null;
      parts.cell.style.setProperty("--q", quality ?? 100);
      if (quality !== null) { parts.bar.style.setProperty("--q", quality); parts.quality.textContent = String(quality); }
      const words = [where(position), kind === "plain" ? "" : kind, blank ? "" : name(token), event ? EVENTS[event.kind][1] : "", quality === null ? "" : `quality ${quality} %`];
      parts.cell.title = words.filter(Boolean).join(", ");
    });
    const pass = replay.pass(i), score = replay.score(i), last = replay.pass(replay.frames.length - 1);
    const parts = [`${state.blanks} blank`];
    if (gold) parts.push(`${replay.wrongs[i]} wrong`);
    if (score !== null) parts.push(`score ${score.toPrecision(3)}`);
    if (gold && trace.answers.length) parts.push(state.answer.every((token, at) => trace.given[at] || token === gold[at]) ? "its answer is right" : "its answer is wrong");
    if (trace.thinned !== null && pass > trace.thinned) parts.push("told with gaps");
    chains.show(pass);
    status.replaceChildren(html("strong", {}, i ? `Pass ${count(pass)}` : "Before the first pass"), ` of ${count(last)}`, html("br"), parts.join(" · "));
    slider.value = String(i);
    slider.setAttribute("aria-valuetext", i ? `pass ${pass}` : "before the first pass");
    const x = replay.frames.length > 1 ? (600 * i) / (replay.frames.length - 1) : 0;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    nextTurn.disabled = !(replay.turns[replay.turns.length - 1] > i);
    events.replaceChildren(...state.events.map(({ position, kind, from, to, quality }) => {
      const change = kind === "doubted" || kind === "restored" ? name(kind === "doubted" ? from : to) : from === null ? name(to) : `${name(from)} to ${name(to)}`;
      const sure = kind === "doubted" && quality !== null ? `, quality ${quality} %` : "";
      return html("li", { class: "c-" + kind }, html("i", { "aria-hidden": "true" }, EVENTS[kind][0]), `${where(position)}: ${change} ${EVENTS[kind][1]}${sure}`);
    }));
    if (!state.events.length) events.append(html("li", { class: "over" }, i ? "Read and judged; nothing changed." : "Only what the task gives."));
  }

  const left = html("div", {}, context, board);
  const controls = html("div", { class: "row" }, button("|◀", "To the start (home)", () => step(-Infinity)), button("◀", "One back (left)", () => step(-1)), play, button("▶", "One on (right)", () => step(1)), button("▶|", "To the end (end)", () => step(Infinity)), pace);
  const views = choices("view", "What is shown", [["canvas", "working canvas"], ["answer", "its answer then"]], view, (value) => { view = value; go(state.at); });
  const right = html("div", {}, status, time, slider, controls, html("div", { class: "row" }, nextTurn, views, html("label", { class: "over" }, numbers, " quality in numbers")), events);
  const legend = html("ul", { class: "legend" }, html("li", {}, "grey: given"), html("li", { class: "c-right" }, "right"), html("li", { class: "c-wrong" }, html("i", {}, "×"), "wrong"),
    ...Object.entries(EVENTS).map(([kind, [mark, text]]) => html("li", { class: "c-" + kind }, html("i", {}, mark), text)), html("li", {}, "bar and shade: quality, the chance it gave the token of being right; the stronger the shade, the less sure"));
  const tabs = choices("trace", "Puzzle", data.traces.map((trace, i) => [i, trace.name]), 0, (i) => load(data.traces[i]));
  root.append(html("div", { class: "row" }, tabs), about, gaps, html("div", { class: "player" }, left, right), aside, legend);
  load(data.traces[0]);
}
