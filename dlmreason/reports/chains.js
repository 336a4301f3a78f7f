// What an arm that writes chains says of the same puzzle, once as much compute is spent as the canvas beside it has taken.
"use strict";

// FLOPs by so many passes: a line between the budgets of `clock`, [[passes, FLOPs], ...] ascending, through nothing at none.
function spentBy(clock, passes) {
  let [from, had] = [0, 0];
  for (const [to, flops] of clock) {
    if (passes <= to) return had + ((flops - had) * (passes - from)) / (to - from);
    [from, had] = [to, flops];
  }
  return had;
}

// Of steps [FLOPs, answer, right, chains, tokens], ascending: the answer that stands, and the words of the next that are there.
function saidBy(steps, spent) {
  const next = steps.findIndex(([flops]) => flops > spent), last = next < 0 ? steps.length - 1 : next - 1;
  if (next < 0) return { stands: steps[last], under: null };
  const words = steps[next][1].split(/\s+/).filter(Boolean), had = last < 0 ? 0 : steps[last][0];
  const there = Math.floor((words.length * (spent - had)) / (steps[next][0] - had));
  return { stands: last < 0 ? null : steps[last], under: { words, there } };
}

function chainsBeside(root) {
  const arms = html("select", { class: "btn", "aria-label": "Arm that writes chains" });
  const clock = html("p", { class: "over" }), stands = html("p", { class: "said" }), under = html("p", { class: "said" });
  const told = "Its chains are not recorded token by token. Of each budget the answer that was chosen is; it comes forward as the FLOPs from the budget before to this one are spent.";
  let trace = null, passes = 0;
  const word = (text, kind) => html("span", { class: kind }, text);

  function draw() {
    const spent = spentBy(trace.clock, passes), said = saidBy(trace.chains[arms.value], spent);
    clock.textContent = `${flops(spent)} spent on either side`;
    if (said.stands) {
      const [, answer, right, chains, tokens] = said.stands;
      stands.replaceChildren(word("answers ", "over"), ...answer.split(/\s+/).filter(Boolean).map((each) => word(each, "word")),
        html("span", { class: right ? "c-right" : "c-wrong" }, right ? "✓ right" : "× wrong"), word(`${count(chains)} chains, ${count(tokens)} tokens`, "over"));
    } else stands.replaceChildren(word("has no answer yet: less is spent than one chain takes", "over"));
    const left = said.under && [...said.under.words.slice(0, said.under.there).map((each) => word(each, "word under")), word("▍", "caret")];
    under.replaceChildren(...(left ? [word("under way ", "over"), ...left] : [word("it was asked for no more", "over")]));
  }

  arms.addEventListener("change", draw);
  root.append(html("h3", {}, "Beside it, on the same compute"), html("div", { class: "row" }, arms, clock), stands, under, html("p", { class: "note" }, told));
  return {
    load(next) {
      trace = next;
      const names = Object.keys(trace.chains);
      const kept = names.includes(arms.value) ? arms.value : names[0];
      arms.replaceChildren(...names.map((name) => html("option", { value: name, selected: name === kept }, name)));
      root.hidden = !names.length || !trace.clock.length;
    },
    show(made) {
      passes = made;
      if (!root.hidden) draw();
    },
  };
}
