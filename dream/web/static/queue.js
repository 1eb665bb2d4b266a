/* What runs now, and what waits. */

import { call, get, post } from "./api.js";
import { $, make, say } from "./dom.js";
import { t, word } from "./strings.js";

let running = null, paused = false, first = null, shown = "";

const clock = (seconds) => {
  const whole = Math.max(0, Math.round(seconds)), rest = String(whole % 60).padStart(2, "0");
  return whole < 3600 ? `${Math.floor(whole / 60)}:${rest}`
    : `${Math.floor(whole / 3600)}:${String(Math.floor(whole / 60) % 60).padStart(2, "0")}:${rest}`;
};

export function showJobs(state) {
  paused = state.paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = t(paused ? "resume" : "pause");
  showRunning(state.running);
  const beside = state.running_beside ?? [];
  $("queue").hidden = !state.waiting.length && !beside.length;
  const focused = document.activeElement?.dataset?.key;
  $("waiting").replaceChildren(...beside.map(besideItem),
    ...state.waiting.map((job, place) => item(job, place, state.waiting.length)));
  if (focused) document.querySelector(`#waiting [data-key="${focused}"]`)?.focus();
}

/* A line that another worker renders at the same time. */
function besideItem(job) {
  const stop = make("button", { type: "button", textContent: "✕", onclick: () => cancel(job.job),
    "aria-label": `${t("remove")}: ${job.line}`, title: t("remove") });
  stop.dataset.key = `remove-${job.job}`;
  const done = make("span", { textContent: job.step ? stepText(job.step) : t("starting") });
  done.dataset.steps = job.job;
  return make("li", {}, make("span", { className: "mono grow", textContent: job.line }), done, stop);
}

const stepText = (step) => t("step", word("stage", step.stage), step.step, step.steps || "?");

function item(job, place, count) {
  const button = (text, label, key, action, enabled = true) => {
    const made = make("button", { type: "button", textContent: text, disabled: !enabled, onclick: action,
      "aria-label": `${t(label)}: ${job.line}`, title: t(label) });
    made.dataset.key = `${key}-${job.job}`;
    return made;
  };
  return make("li", {},
    make("span", { className: "mono grow", textContent: job.line }),
    button("↑", "up", "up", () => move(job, place - 1), place > 0),
    button("↓", "down", "down", () => move(job, place + 1), place < count - 1),
    button("✕", "remove", "remove", () => cancel(job.job)));
}

const move = (job, place) => post(`/api/jobs/${job.job}/place`, { place }).catch(report);
const cancel = (job) => call("DELETE", `/api/jobs/${job}`).catch(report);
const report = (error) => say(error.message, true);

function showRunning(job) {
  running = job;
  $("now").hidden = !job;
  if (!job) {
    document.title = t("page");
    first = null;
    return;
  }
  $("now-line").textContent = job.line;
  if (shown !== job.job) {
    shown = job.job;
    first = null;
    $("preview").removeAttribute("src");
    $("now-text").textContent = t("starting");
    $("progress").removeAttribute("value");
  }
  if (job.step) showStep(job.step);
}

export function showStep(step) {
  const beside = document.querySelector(`#waiting [data-steps="${step.job}"]`);
  if (beside) beside.textContent = stepText(step);
  if (!running || step.job !== running.job) return;
  const now = performance.now() / 1000, key = `${step.stage} ${step.picture}`;
  if (first?.key !== key) first = { key, now, step: step.step };
  const parts = [];
  if (step.pictures > 1) parts.push(t("image", step.picture, step.pictures));
  parts.push(stepText(step));
  const done = step.step - first.step;
  if (done > 0 && step.steps) {
    const each = (now - first.now) / done;
    const others = step.stage === "render" ? (step.pictures - step.picture) * step.steps : 0;
    parts.push(t("left", clock(each * (step.steps - step.step + others))));
  }
  $("now-text").textContent = parts.join(" · ");
  $("progress").value = step.steps ? (step.picture - 1 + step.step / step.steps) / step.pictures : 0;
  document.title = `${step.step}/${step.steps} · dream`;
  if (step.preview) $("preview").src = `/api/jobs/${step.job}/preview?${step.picture}-${step.step}`;
}

export function showLoading(event) {
  if (running?.job === event.job) $("now-text").textContent = t("loading", event.model);
}

export const refresh = async () => showJobs(await get("/api/jobs"));

$("cancel").onclick = () => running && cancel(running.job);
$("pause").onclick = () => post("/api/pause", { paused: !paused }).catch(report);
