/* All images, newest first, and one of them large with what can be done with it. */

import { address, call, editLine, get, quoted } from "./api.js";
import { enter, setLine } from "./composer.js";
import { $, ask, make, say } from "./dom.js";
import { openMask } from "./mask.js";
import { localize, t, word } from "./strings.js";

const grid = $("gallery"), viewer = $("viewer");
let pictures = [], before = null, loading = false, open = null;

const source = (one) => `/pictures/${address(one.name)}`;

/* The prompt of a line, for who cannot see the image. */
function describe(one) {
  const match = /^"((?:[^"\\]|\\.)*)"/.exec(one.line);
  return (match ? match[1] : one.line.split(/\s-/)[0]) || one.name;
}

function tile(one) {
  const image = make("img", { loading: "lazy", decoding: "async", alt: describe(one),
    src: `/thumbnails/${address(one.name)}?${one.stamp}` });
  const button = make("button", { type: "button", className: "tile", onclick: () => show(one) }, image);
  const item = make("li", {}, button);
  item.dataset.name = one.name;
  return item;
}

export async function loadMore() {
  if (loading || before === "") return;
  loading = true;
  try {
    const page = await get(`/api/pictures?count=60&before=${encodeURIComponent(before || "")}`);
    before = page.before;
    pictures.push(...page.pictures);
    grid.append(...page.pictures.map(tile));
    $("empty").hidden = pictures.length > 0;
  } finally {
    loading = false;
  }
  if (isNear()) await loadMore();
}

const isNear = () => $("more").getBoundingClientRect().top < innerHeight + 600;

/* Put images in front that were saved since, however many. */
export async function refresh() {
  if (before === null) return;
  const isNew = (one) => !pictures.some((known) => known.name === one.name), found = [];
  for (let cursor = "", more = true; more;) {
    const page = await get(`/api/pictures?count=60&before=${encodeURIComponent(cursor)}`);
    found.push(...page.pictures);
    cursor = page.before;
    more = cursor && page.pictures.every(isNew);
  }
  const added = found.filter(isNew);
  pictures.unshift(...added);
  grid.prepend(...added.map(tile));
  $("empty").hidden = pictures.length > 0;
}

/* An image was deleted, here or in another tab. */
export function forget(name) {
  if (viewer.open && open.name === name) viewer.close();
  pictures = pictures.filter((one) => one.name !== name);
  [...grid.children].find((item) => item.dataset.name === name)?.remove();
  $("empty").hidden = pictures.length > 0;
}

// ── one image ─────────────────────────────────────────────────────────────────────────────────

const ACTIONS = {
  again: (one) => enter(one.line),
  edit: (one) => setLine(one.line),
  vary: async (one, now) => write(now, one.line, { variation_amount: ["0.1"], iterations: ["4"] }),
  "upscale-2": (one, now) => put(now, `!fix ${quoted(one.name)} -U2`),
  "upscale-4": (one, now) => put(now, `!fix ${quoted(one.name)} -U4`),
  from: (one, now) => write(now, one.line,
    { init_img: [one.name], strength: ["0.6"], seed: null, width: null, height: null, hires_fix: null, upscale: null }),
  mask: async (one, now) => paint(one.line, one.name, source(one), now),
  fix: (one) => setLine(`!fix ${quoted(one.name)} `),
  verify: (one) => enter(`!verify ${quoted(one.name)}`),
};
const NEEDS_LINE = ["again", "edit", "vary", "verify"];

const put = (now, line) => (now ? enter(line) : setLine(line));

/* Write a line with these switches into the box; with Shift it is made at once. */
async function write(now, line, changes) {
  for (const [field, value] of Object.entries(changes)) line = await editLine(line, field, value);
  await put(now, line);
}

export async function paint(line, name, url, now = false) {
  const mask = await openMask(url);
  if (mask) await write(now, line, { init_img: [name], init_mask: [mask], seed: null, width: null, height: null, hires_fix: null, upscale: null });
}

function show(one) {
  open = one;
  $("viewer-title").textContent = one.name;
  $("viewer-line").textContent = one.line;
  $("large").src = source(one);
  $("large").alt = describe(one);
  $("facts").hidden = true;
  const buttons = Object.entries(ACTIONS).filter(([key]) => one.line || !NEEDS_LINE.includes(key))
    .map(([key, action]) => make("button", { type: "button", textContent: t(key), onclick: async (event) => {
      viewer.close();
      try { await action(one, event.shiftKey); } catch (error) { say(error.message, true); }
    } }));
  const info = make("button", { type: "button", textContent: t("info"), onclick: () => showFacts(one).catch(report) });
  const save = make("a", { className: "button", textContent: t("download"), href: source(one),
    download: one.name.split("/").pop() });
  const remove = make("button", { type: "button", className: "danger", textContent: t("delete"), onclick: () => erase(one) });
  $("actions").replaceChildren(...buttons, info, save, remove);
  if (!viewer.open) viewer.showModal();
}

async function showFacts(one) {
  const found = await get(`/api/pictures/${address(one.name)}`);
  const rows = { format: `${found.format} ${found.width}×${found.height}, ${Math.ceil(found.size / 1024)} KiB`,
    tool: found.tool, sha256: found.sha256, seconds: found.seconds, ...found.facts };
  $("facts").replaceChildren(...Object.entries(rows).filter(([, value]) => value !== "" && value != null)
    .flatMap(([name, value]) => [make("dt", { textContent: word("fact", name) }), make("dd", { textContent: String(value) })]),
  ...found.notes.flatMap((note) => [make("dt", { textContent: "·" }), make("dd", { textContent: localize(note) })]));
  $("facts").hidden = false;
}

async function erase(one) {
  const answer = await ask(t("ask-delete", one.name), [["", t("no")], ["yes", t("yes-delete"), "danger"]]);
  if (answer !== "yes") return;
  try {
    await call("DELETE", `/api/pictures/${address(one.name)}`, { confirm: one.name });
    forget(one.name);
  } catch (error) {
    report(error);
  }
}

/* Messages are below the dialog. */
function report(error) {
  say(error.message, true);
  viewer.close();
}

function turn(step) {
  const next = pictures[pictures.indexOf(open) + step];
  if (next) show(next);
  if (pictures.indexOf(open) > pictures.length - 5) loadMore();
}

viewer.addEventListener("click", (event) => {
  const act = { previous: () => turn(-1), next: () => turn(1), close: () => viewer.close() };
  act[event.target.dataset?.do]?.();
  if (event.target === viewer) viewer.close();
});
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});
new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && before !== null && loadMore(),
  { rootMargin: "600px" }).observe($("more"));
