// The canvas of one row at any of its passes. A trace holds changes only; what a change means is worked out here.
"use strict";

const EVENTS = {
  written: ["+", "written"], doubted: ["?", "doubted"], restored: ["↺", "doubt taken back"],
  "set-right": ["✓", "set right"], "set-wrong": ["✗", "set wrong"], changed: ["⇄", "changed"],
};
const TURNS = new Set(["set-right", "set-wrong", "changed"]);
const EVERY = 128; // frames between two full copies, from which any frame is reached by replaying fewer than this many

const most = (values) => values.reduce((a, b) => Math.max(a, b), 1);

// The page packs a frame, and an answer, as [pass, [position, token, position, token, ...], quality, score], what is null at
// the end left out. They stay packed: a story may have very many, and few of them are looked at.
class Replay {
  constructor(trace) {
    this.trace = trace;
    this.frames = [[0, []], ...trace.frames];
    this.copies = [];
    this.blanks = new Int32Array(this.frames.length);
    this.wrongs = new Int32Array(this.frames.length);
    this.turns = []; // frames in which it changed its mind
    this.seen = new Set([...trace.start, ...(trace.gold || [])]); // tokens
    const state = this.first();
    for (let i = 0; i < this.frames.length; i++) {
      if (this.apply(state, i)) this.turns.push(i);
      if (i % EVERY === 0) this.copies.push(this.copy(state));
      this.blanks[i] = state.blanks;
      this.wrongs[i] = state.wrongs;
      const [, flat] = this.frames[i];
      for (let k = 1; k < flat.length; k += 2) this.seen.add(flat[k]);
    }
  }

  pass(i) { return this.frames[i][0]; }
  score(i) { return this.frames[i][3] ?? null; }

  first() {
    const { start, mask_id } = this.trace;
    const state = { at: -1, tokens: [...start], committed: start.map((token) => (token === mask_id ? null : token)), quality: start.map(() => null), stale: [], answer: [...start], answers: 0, events: [], blanks: 0, wrongs: 0 };
    start.forEach((token, position) => this.weigh(state, position, token, 1));
    return state;
  }

  copy(state) {
    return { ...state, tokens: [...state.tokens], committed: [...state.committed], quality: [...state.quality], stale: [...state.stale], answer: [...state.answer], events: [] };
  }

  // Counts a token at a position in, or out again.
  weigh(state, position, token, by) {
    const { gold, mask_id } = this.trace;
    if (token === mask_id) state.blanks += by;
    else if (gold && token !== gold[position]) state.wrongs += by;
  }

  // What it means that a token is written where another was committed before, or none.
  kind(position, token, was) {
    const { gold, mask_id } = this.trace;
    if (token === mask_id) return "doubted";
    if (was === null) return "written";
    if (was === token) return "restored";
    if (gold && token === gold[position]) return "set-right";
    return gold && was === gold[position] ? "set-wrong" : "changed";
  }

  // Makes of the state before frame i the one after it, with its events where they are asked for; whether a mind was changed.
  apply(state, i, tells = false) {
    const [pass, flat, quality] = this.frames[i], { mask_id, answers } = this.trace;
    for (const position of state.stale) state.quality[position] = null;
    state.stale.length = 0;
    if (quality) state.quality = [...quality];
    state.events = [];
    let turned = false;
    for (let k = 0; k < flat.length; k += 2) {
      const position = flat[k], token = flat[k + 1], before = state.tokens[position], was = state.committed[position], kind = this.kind(position, token, was);
      if (tells) state.events.push({ position, kind, from: kind === "doubted" ? before : was, to: token, quality: state.quality[position] });
      turned ||= TURNS.has(kind);
      this.weigh(state, position, before, -1);
      this.weigh(state, position, token, 1);
      state.tokens[position] = token;
      if (token !== mask_id) state.committed[position] = token;
      state.stale.push(position);
    }
    for (; state.answers < answers.length && answers[state.answers][0] <= pass; state.answers++) {
      const [, changes] = answers[state.answers];
      for (let k = 0; k < changes.length; k += 2) state.answer[changes[k]] = changes[k + 1];
    }
    state.at = i;
    return turned;
  }

  // The state after frame i, with its events; goes on from `state` where that is before it and nearer than a full copy.
  seek(i, state) {
    const near = this.copies[Math.floor(Math.max(0, i - 1) / EVERY)];
    const from = state && state.at < i && state.at >= near.at ? state : i === 0 ? this.first() : this.copy(near);
    while (from.at < i) this.apply(from, from.at + 1, from.at + 1 === i);
    return from;
  }
}
