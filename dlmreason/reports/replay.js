// The canvas of one row at any of its passes. A trace holds changes only; what a change means is worked out here.
"use strict";

const EVENTS = {
  written: ["+", "written"], doubted: ["?", "doubted"], restored: ["↺", "doubt taken back"],
  "set-right": ["✓", "set right"], "set-wrong": ["✗", "set wrong"], changed: ["⇄", "changed"],
};
const TURNS = new Set(["set-right", "set-wrong", "changed"]);
const EVERY = 128; // frames between two full copies, from which any frame is reached by replaying fewer than this many

// The page packs a frame as [pass, [position, token, position, token, ...], quality, score], what is null at the end left out.
function unpack([pass, flat, quality = null, score = null]) {
  const changes = [];
  for (let i = 0; i < flat.length; i += 2) changes.push([flat[i], flat[i + 1]]);
  return { pass, changes, quality, score };
}

const most = (values) => values.reduce((a, b) => Math.max(a, b), 1);

class Replay {
  constructor(trace) {
    this.trace = trace;
    this.frames = [{ pass: 0, changes: [], quality: null, score: null }, ...trace.frames.map(unpack)];
    this.answers = trace.answers.map(unpack);
    this.copies = [];
    this.blanks = [];
    this.wrongs = [];
    this.turns = []; // frames in which it changed its mind
    const state = this.first();
    this.frames.forEach((_, i) => {
      this.apply(state, i);
      if (i % EVERY === 0) this.copies.push(this.copy(state));
      let blanks = 0, wrongs = 0;
      state.tokens.forEach((token, at) => {
        if (token === trace.mask_id) blanks++;
        else if (trace.gold && token !== trace.gold[at]) wrongs++;
      });
      this.blanks.push(blanks);
      this.wrongs.push(wrongs);
      if (state.events.some((event) => TURNS.has(event.kind))) this.turns.push(i);
    });
  }

  first() {
    const { start, mask_id } = this.trace;
    return { at: -1, tokens: [...start], committed: start.map((token) => (token === mask_id ? null : token)), quality: start.map(() => null), stale: new Set(), answer: [...start], answers: 0, events: [] };
  }

  copy(state) {
    return { ...state, tokens: [...state.tokens], committed: [...state.committed], quality: [...state.quality], stale: new Set(state.stale), answer: [...state.answer], events: state.events };
  }

  apply(state, i) {
    const frame = this.frames[i], { gold, mask_id } = this.trace, { answers } = this;
    for (const position of state.stale) state.quality[position] = null;
    state.stale.clear();
    if (frame.quality) state.quality = [...frame.quality];
    state.events = [];
    for (const [position, token] of frame.changes) {
      const before = state.tokens[position], was = state.committed[position];
      let kind;
      if (token === mask_id) kind = "doubted";
      else if (was === null) kind = "written";
      else if (was === token) kind = "restored";
      else if (gold && token === gold[position]) kind = "set-right";
      else if (gold && was === gold[position]) kind = "set-wrong";
      else kind = "changed";
      state.events.push({ position, kind, from: kind === "doubted" ? before : was, to: token, quality: state.quality[position] });
      state.tokens[position] = token;
      if (token !== mask_id) state.committed[position] = token;
      state.stale.add(position);
    }
    while (state.answers < answers.length && answers[state.answers].pass <= frame.pass)
      for (const [position, token] of answers[state.answers++].changes) state.answer[position] = token;
    state.at = i;
  }

  // The state after frame i; goes on from `state` where that is nearer than the last full copy.
  seek(i, state) {
    const copy = this.copies[Math.floor(i / EVERY)];
    const from = state && state.at <= i && state.at >= copy.at ? state : this.copy(copy);
    while (from.at < i) this.apply(from, from.at + 1);
    return from;
  }
}
