/* The line: typed, checked, completed, submitted. All else on the page only writes into it. */

import { post } from "./api.js";
import { $, debounce, make, say } from "./dom.js";
import { localize, t } from "./strings.js";

const LINE = "dream.line", HISTORY = "dream.history";
const MOST_HISTORY = 300;
const box = $("line"), list = $("offers"), check = $("check");

let offers = [], chosen = -1, asked = 0, back = 0, onValues = () => {};

export const getLine = () => box.value;

export function setLine(text, focus = true) {
  box.value = text;
  back = 0;
  changed();
  hideOffers();
  if (focus) {
    box.focus();
    box.setSelectionRange(text.length, text.length);
    box.scrollIntoView({ block: "nearest" });
  }
}

export function whenChecked(callback) { onValues = callback; }

function changed() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  for (const store of [sessionStorage, localStorage]) store.setItem(LINE, box.value);
  asked++;  // an answer about the former line comes too late
  lookAt();
}

/* The row of the box that the cursor is in, and the cursor's place in it. */
function row() {
  const at = box.selectionStart, start = box.value.lastIndexOf("\n", at - 1) + 1;
  const end = box.value.indexOf("\n", at);
  return { start, line: box.value.slice(start, end < 0 ? undefined : end), cursor: at - start };
}

function show(text, wrong) {
  check.textContent = text;
  check.classList.toggle("wrong", wrong);
  box.setAttribute("aria-invalid", wrong ? "true" : "false");
}

const lookAt = debounce(140, async () => {
  const number = ++asked;
  try {
    const found = await post("/api/check", { line: row().line });
    if (number !== asked) return;
    const where = found.column ? `${found.column}: ` : "";
    show(where + localize(found.text), found.wrong);
    onValues(found.values || {});
  } catch (error) {
    if (number === asked) show(error.message, true);
  }
});

// ── completion ────────────────────────────────────────────────────────────────────────────────

const complete = debounce(60, async (always) => {
  const { line, cursor } = row();
  const before = line.slice(0, cursor), word = before.slice(before.lastIndexOf(" ") + 1);
  const wanted = always || word.startsWith("-") || /(^|\s)-{1,2}[A-Za-z_-]+\s+\S*$/.test(before) ||
    before.startsWith("!");
  if (!wanted) return hideOffers();
  try {
    const answer = await post("/api/complete", { line, cursor });
    if (row().line !== line || document.activeElement !== box) return;
    offers = answer.offers.filter((one) => one.text !== line.slice(one.start, cursor));
  } catch { offers = []; }
  draw();
});

function draw() {
  chosen = -1;
  list.replaceChildren(...offers.map((one, n) =>
    make("li", { id: `offer-${n}`, role: "option", "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); accept(n); } },
      make("span", { textContent: one.display }), make("span", { textContent: one.meta }))));
  list.hidden = !offers.length;
  box.removeAttribute("aria-activedescendant");
}

function choose(n) {
  const rows = list.children;
  rows[chosen]?.setAttribute("aria-selected", "false");
  chosen = (n + rows.length) % rows.length;
  rows[chosen].setAttribute("aria-selected", "true");
  rows[chosen].scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", rows[chosen].id);
}

function accept(n) {
  const { start, cursor } = row(), one = offers[n];
  const from = start + one.start, to = start + cursor;
  box.setRangeText(one.text, from, to, "end");
  hideOffers();
  changed();
  box.focus();
}

export function hideOffers() {
  offers = [];
  draw();
}

// ── keys ──────────────────────────────────────────────────────────────────────────────────────

const history = () => JSON.parse(localStorage.getItem(HISTORY) || "[]");

function recall(step) {
  const lines = history(), next = back + step;
  if (next < 0 || next > lines.length) return;
  setLine(next ? lines[lines.length - next] : "");
  back = next;  // after setLine, which resets it
}

box.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const open = !list.hidden, key = event.key;
  const act = (action) => { event.preventDefault(); action(); };
  if (open && key === "ArrowDown") act(() => choose(chosen + 1));
  else if (open && key === "ArrowUp") act(() => choose(chosen < 0 ? -1 : chosen - 1));
  else if (open && key === "Escape") act(hideOffers);
  else if (open && key === "Tab" && !event.shiftKey) act(() => accept(Math.max(chosen, 0)));
  else if (open && key === "Enter" && chosen >= 0) act(() => accept(chosen));
  else if (key === "Enter" && !event.shiftKey) act(submit);
  else if (key === " " && event.ctrlKey) act(() => complete(true));
  else if (key === "ArrowUp" && (!box.value || back)) act(() => recall(1));
  else if (key === "ArrowDown" && back) act(() => recall(-1));
});
box.addEventListener("input", () => { back = 0; changed(); complete(false); });
list.addEventListener("mousedown", (event) => event.preventDefault());  // the box keeps the focus
box.addEventListener("blur", () => setTimeout(hideOffers, 120));
$("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });

// ── entering ──────────────────────────────────────────────────────────────────────────────────

/* The box is empty at once, so that the next line can be typed; what is refused comes back. */
export async function submit() {
  const lines = box.value.split("\n").filter((line) => line.trim());
  if (!lines.length) return;
  setLine("");
  while (lines.length && await enter(lines[0], lines)) lines.shift();
}

/* Run a line; whether it was accepted. If not, it is put into the box again, with those after it,
   unless another is typed there already. */
export async function enter(line, rest = [line]) {
  try {
    const answer = await post("/api/lines", { line });
    localStorage.setItem(HISTORY,
      JSON.stringify([...history().filter((one) => one !== line), line].slice(-MOST_HISTORY)));
    if (answer.events) showAnswer(line, answer.events);
    return true;
  } catch (error) {
    const text = error.message;
    if (box.value) say(`${line}: ${text}`, true);
    else {
      setLine(rest.join("\n"));
      if (error.status === 400) show((error.column ? `${error.column}: ` : "") + text, true);
      else say(text, true);
    }
    return false;
  }
}

function showAnswer(line, events) {
  const parts = [];
  for (const event of events) {
    if (event.event === "edit") setTimeout(() => setLine(event.text));
    else if (event.event === "page") parts.push(...describe(event.lines));
    else if (event.event === "note") parts.push(make("p", { textContent: localize(event.text) }));
    else if (event.error) parts.push(make("p", { textContent: localize(event.error) }));
  }
  if (!parts.length) return;
  $("output-title").textContent = line;
  $("answer").replaceChildren(...parts);
  $("output").hidden = false;
  $("answer").scrollTop = 0;
}

function* describe(lines) {
  let terms = null;
  for (const line of lines) {
    if (Array.isArray(line)) {
      terms ??= make("dl");
      terms.append(make("dt", { textContent: line[0].trim() }), make("dd", { textContent: line[1] }));
      continue;
    }
    if (terms) { yield terms; terms = null; }
    yield make("p", { textContent: line });
  }
  if (terms) yield terms;
}

$("close-output").onclick = () => { $("output").hidden = true; box.focus(); };

export function begin() {
  box.placeholder = t("placeholder");
  // Of this tab, or in a new one that of the tab before.
  setLine(sessionStorage.getItem(LINE) ?? localStorage.getItem(LINE) ?? "", false);
  if (matchMedia("(pointer: fine)").matches) box.focus();
}
