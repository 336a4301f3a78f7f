// What the tests ask a page. Run inside it by `Visit.probe`, each by its name.
const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const all = (selector) => [...document.querySelectorAll(selector)];
const slider = () => document.querySelector("[data-fill=player] input[type=range]");
const slide = (at) => { slider().value = String(at); slider().dispatchEvent(new Event("input")); };
const shown = (node) => node.getClientRects().length && !node.closest("[hidden]") && getComputedStyle(node).visibility !== "hidden";

const probes = {
  // Charts are drawn in the frame after the layout.
  drawn: frames,

  unfold() { for (const each of all("details")) each.open = true; },

  // Elements that reach beyond the window and do not lie in something that scrolls.
  overflow() {
    const wide = document.documentElement.clientWidth;
    const scrolls = (node) => node && (["auto", "scroll", "hidden"].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    return all("body *").filter((node) => {
      const box = node.getBoundingClientRect();
      return box.width > 1 && (box.right > wide + 1 || box.left < -1) && !node.closest(".skip, .sr, [hidden]") && !scrolls(node);
    }).map((node) => node.tagName + "." + (node.className.baseVal ?? node.className));
  },

  // A name for everything that a person can work; radio buttons of a group are one.
  reachable() {
    const wanted = all('a[href], button:not(:disabled), input, select, summary, [tabindex="0"]').filter(shown);
    wanted.forEach((node, i) => { node.dataset.number = node.type === "radio" ? node.name : String(i); });
    return [...new Set(wanted.map((node) => node.dataset.number))];
  },

  // What has the focus, and whether one can see it.
  focused() {
    const node = document.activeElement, ring = (each) => each && getComputedStyle(each).outlineStyle !== "none";
    return [node.dataset.number || "", Boolean(ring(node) || ring(node.nextElementSibling))];
  },

  // Works every control once; the names of those after which nothing is shown otherwise and no file was made.
  async idle() {
    let files = 0;
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => { files++; return make.call(URL, blob); };
    const state = () => document.body.outerHTML + all("input, select").map((each) => each.value + each.checked) + files;
    const found = [];
    for (const node of all("button, select, input")) {
      if (node.disabled || (node.checked && node.type === "radio")) continue;
      if (slider() && node !== slider()) slide(7);
      const before = state();
      if (node.tagName === "SELECT") {
        node.selectedIndex = node.selectedIndex ? 0 : 1;
        node.dispatchEvent(new Event("change"));
      } else if (node === slider()) slide(3);
      else node.click();
      await frames();
      if (node.textContent === "Pause") await later(1500);
      if (node.textContent === "Pause") node.click();
      if (state() === before) found.push(node.getAttribute("aria-label") || node.textContent || node.closest("label").textContent);
    }
    URL.createObjectURL = make;
    return found;
  },

  tags() { return all("*").map((node) => node.tagName); },

  // Attributes that would run something, or lead away.
  handlers() {
    const leads = ["src", "srcdoc", "action", "formaction", "data", "background"];
    const acts = ({ name, value }) => name.startsWith("on") || leads.includes(name) || (name === "href" && !value.startsWith("#"));
    return all("*").flatMap((node) => [...node.attributes].filter(acts).map((each) => node.tagName + " " + each.name));
  },

  // Shows every choice, table and tip once.
  async everything() {
    probes.unfold();
    for (const node of all("input[type=radio], input[type=checkbox]")) node.click();
    for (const node of all(".chart svg"))
      for (const key of ["ArrowRight", "ArrowUp"]) node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    for (const at of slider() ? [1, 2] : []) slide(at);
    await frames();
  },

  // Of each arm and frame: the words of the answer that stands, and how many of the next one are there; null: none is to come.
  beside(arms) {
    const select = document.querySelector(".chains select"), found = {};
    const texts = (selector) => all(selector).map((node) => node.textContent);
    for (const arm of arms) {
      select.value = arm;
      select.dispatchEvent(new Event("change"));
      found[arm] = Array.from({ length: Number(slider().max) + 1 }, (_, i) => {
        slide(i);
        return [texts(".said .word:not(.under)"), all(".said .caret").length ? all(".said .word.under").length : null];
      });
    }
    return found;
  },

  // Of each frame of the trace that is shown, all the ways in which it looked: forwards, backwards and by jumps.
  walk(kinds) {
    const order = Array.from({ length: Number(slider().max) + 1 }, (_, i) => i), seen = order.map(() => new Set());
    const text = (cell) => (cell.classList.contains("blank") ? "·" : cell.querySelector("b").textContent);
    for (const i of [...order, ...[...order].reverse(), 5, 1, Number(slider().max), 3]) {
      slide(i);
      const cells = all(".cell"), now = cells.filter((cell) => cell.classList.contains("now"));
      const found = now.map((cell) => [...cell.classList].find((name) => kinds.includes(name))).sort();
      seen[i].add(JSON.stringify([cells.map(text).join(""), found]));
    }
    return seen.map((ways) => [...ways].map((each) => JSON.parse(each)));
  },
};
