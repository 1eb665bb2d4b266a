/* Sliders and menus: they write switches into the line, and show what the line says. */

import { editLine, get } from "./api.js";
import { getLine, setLine, whenChecked } from "./composer.js";
import { $, make } from "./dom.js";
import { t } from "./strings.js";

const root = $("options"), toggle = $("toggle-options");
let fields = {}, model = null, loras = [], switches = {}, pending = Promise.resolve(), busy = 0;
let values = {}, drawn = "";  // what the line sets, and what the menus were made of

/* Write a switch; edits follow one another, so that none is lost. */
function write(changes) {
  busy++;
  pending = pending.then(async () => {
    let line = getLine();
    for (const [field, value] of Object.entries(changes)) line = await editLine(line, field, value);
    setLine(line, false);
  }).catch(() => {}).finally(() => { busy--; });
}

const number = (value) => (value === "" ? null : [String(value)]);

function slider(field, low, high, step, fallback) {
  const range = make("input", { type: "range", min: low, max: high, step });
  const exact = make("input", { type: "number", min: low, step });
  range.setAttribute("aria-label", t(field));
  range.oninput = () => { exact.value = range.value; };
  range.onchange = () => write({ [field]: number(range.value) });
  exact.onchange = () => write({ [field]: number(exact.value) });
  fields[field] = (words) => {
    range.value = words?.[0] ?? fallback();
    exact.value = words?.[0] ?? "";
    exact.placeholder = fallback();
  };
  return make("label", {}, t(field), make("span", { className: "pair" }, range, exact));
}

function menu(field, choices, read, put) {
  const select = make("select", {}, ...choices.map(([value, text]) =>
    make("option", { value, textContent: text })));
  select.onchange = () => put(select.value);
  fields[field] = (words, all) => {
    const value = read(words, all);
    if (![...select.options].some((one) => one.value === value)) {
      select.append(make("option", { value, textContent: value }));
    }
    select.value = value;
  };
  return make("label", {}, t(field), select);
}

function checkbox(field) {
  const input = make("input", { type: "checkbox" });
  input.onchange = () => write({ [field]: input.checked ? [] : null });
  fields[field] = (words) => { input.checked = words !== undefined; };
  return make("label", { className: "check" }, input, t(field));
}

function sizes() {
  if (!model) return [["", t("automatic")]];
  const round = (value) => Math.max(64, Math.round(value / 64) * 64);
  const { width, height } = model, shapes = [[1, 1], [1.22, 0.82], [0.82, 1.22], [1.33, 0.75], [0.75, 1.33]];
  const found = shapes.map(([x, y]) => `${round(width * x)}×${round(height * y)}`);
  return [["", `${t("automatic")} (${width}×${height})`],
    ...new Set([...found, `${width * 2}×${height * 2}`])].map((one) =>
    Array.isArray(one) ? one : [one, one]);
}

function draw() {
  fields = {};
  const seed = make("input", { type: "number", min: 0, max: 4294967295, className: "wide", placeholder: t("random") });
  seed.onchange = () => write({ seed: number(seed.value) });
  fields.seed = (words) => { seed.value = words?.[0] ?? ""; };
  const negative = make("input", { type: "text", className: "wide" });
  negative.onchange = () => write({ negative: number(negative.value) });
  fields.negative = (words) => { negative.value = words?.[0] ?? ""; };
  const factors = [["", "–"], ["2", "×2"], ["4", "×4"]];
  root.replaceChildren(
    slider("steps", 1, 80, 1, () => model?.steps ?? 20),
    slider("cfg_scale", 1, 20, 0.5, () => model?.cfg_scale ?? 7.5),
    slider("iterations", 1, 16, 1, () => 1),
    menu("dimensions", sizes(),
      (_, all) => (all.width || all.height ? `${all.width?.[0] ?? "?"}×${all.height?.[0] ?? "?"}` : ""),
      (value) => {
        const [width, height] = value.split("×");
        write({ width: value ? [width] : null, height: value ? [height] : null });
      }),
    make("label", {}, t("seed"), seed),
    menu("sampler", [["", t("automatic")], ...(switches.sampler || []).map((one) => [one, one])],
      (words) => words?.[0] ?? "", (value) => write({ sampler: number(value) })),
    menu("upscale", factors, (words) => words?.[0] ?? "", (value) => write({ upscale: number(value) })),
    ...(loras.length ? [menu("lora", [["", "–"], ...loras.map((one) => [one.name, one.name])],
      (words) => (words?.[0] ?? "").split(":")[0], (value) => write({ lora: number(value) }))] : []),
    slider("strength", 0.05, 1, 0.05, () => 0.75),
    make("label", {}, t("negative"), negative),
    checkbox("seamless"),
    checkbox("hires_fix"),
  );
}

export function openOptions(open) {
  root.hidden = !open;
  toggle.setAttribute("aria-expanded", String(open));
  localStorage.setItem("dream.options", open ? "1" : "");
}

export function begin() {
  draw();
  toggle.onclick = () => openOptions(root.hidden);
  openOptions(Boolean(localStorage.getItem("dream.options")));
  whenChecked((found) => {
    values = found;
    if (!busy) showValues();  // what is being written is not in the line yet
  });
}

function showValues() {
  for (const [field, read] of Object.entries(fields)) read(values[field], values);
}

export async function loadModels() {
  const [found, table] = await Promise.all([get("/api/models"), get("/api/switches")]);
  model = found.models.find((one) => one.active) || null;
  loras = found.loras;
  switches = Object.fromEntries(table.switches.map((one) => [one.field, one.choices]));
  const names = found.models.map((one) => one.name), from = JSON.stringify([names, model, loras, switches],
    (key, value) => (key === "loaded" ? undefined : value));
  if (from === drawn) return found;  // a field that somebody is in is left alone
  drawn = from;
  const select = $("model");
  select.replaceChildren(...found.models.map((one) =>
    make("option", { value: one.name, textContent: one.name, selected: one.active })));
  draw();
  showValues();
  return found;
}
