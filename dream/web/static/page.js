/* Starts the page: what it knows comes from the server, so nothing is lost by a reload. */

import { editLine, get, post, sendImage } from "./api.js";
import { begin as beginLine, enter, getLine, setLine } from "./composer.js";
import { $, ask, make, say } from "./dom.js";
import { forget, loadMore, paint, refresh as refreshGallery } from "./gallery.js";
import { begin as beginOptions, loadModels } from "./options.js";
import { refresh as refreshQueue, showJobs, showLoading, showStep } from "./queue.js";
import { localize, otherLanguage, switchLanguage, t, translate } from "./strings.js";

// ── look ──────────────────────────────────────────────────────────────────────────────────────

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => {
  document.documentElement.dataset.theme = localStorage.getItem("dream.theme") || (dark.matches ? "dark" : "light");
};
dark.addEventListener("change", applyTheme);
$("theme").onclick = () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("dream.theme", next);
  applyTheme();
};
$("language").onclick = () => { switchLanguage(); location.reload(); };
$("help").onclick = () => enter("!help");
$("model").onchange = () => enter(`!switch ${$("model").value}`);

// ── the session ───────────────────────────────────────────────────────────────────────────────

let model = "";

async function loadState() {
  const state = await get("/api/state");
  model = state.model;
  showJobs(state);
  const gib = (state.memory / 2 ** 30).toFixed(1);
  $("status").textContent = [t("memory", `${gib} GiB`), state.defaults].filter(Boolean).join(" · ");
  $("left").hidden = !state.left.length;
  $("left-title").textContent = t("left-lines", state.left.length);
  $("left-lines").replaceChildren(...state.left.slice(0, 20).map((line) => make("li", { textContent: line })));
  return state;
}

async function decide(run) {
  try {
    const answer = await post("/api/left", { run });
    for (const one of answer.refused) say(`${one.line}: ${localize(one.error)}`, true);
    await loadState();
  } catch (error) {
    say(error.message, true);
  }
}
$("run-left").onclick = () => decide(true);
$("discard-left").onclick = () => decide(false);

const NOTES = {
  note: (event) => say(localize(event.text)),
  failed: (event) => say(localize(event.error), true),
  refused: (event) => say(localize(event.error), true),
  page: (event) => say(event.lines.map((line) => (Array.isArray(line) ? line.join("  ") : line)).join("\n")),
  cancelled: (event) => say(t("cancelled", `${event.finished}/${event.count}`)),
  verified: (event) => say(t(event.same ? "verified" : event.near ? "near" : "differs", event.name || event.line), !event.same),
  edit: (event) => setLine(event.text),
  deleted: (event) => forget(event.name),
};

let queueAsked = false;

function handleEvent(event) {
  NOTES[event.event]?.(event);
  if (event.event === "step") showStep(event);
  else if (event.event === "loading") showLoading(event);
  else if (event.event === "saved" || event.event === "grid") refreshGallery().catch(() => {});
  else if (event.event === "reset") { loadState().then(refreshGallery).then(loadModels).catch(() => {}); }
  else if (event.event === "queue" || event.event === "ended") {
    if (!queueAsked) {
      queueAsked = true;
      setTimeout(() => { queueAsked = false; refreshQueue().catch(() => {}); }, 40);
    }
    if (event.event === "ended") endJob(event.job).catch(() => {});
  }
}

/* Only commands change the list of models; reading it takes time from the next image. */
async function endJob(number) {
  const before = model, state = await loadState();
  const job = state.finished.find((one) => one.job === number);
  if (!job || job.line.trimStart().startsWith("!") || state.model !== before) await loadModels();
}

function listen(after) {
  const stream = new EventSource(`/api/events?after=${encodeURIComponent(after)}`);
  let isLost = false;
  stream.onmessage = (message) => {
    after = message.lastEventId || after;  // a stream that is opened anew goes on from here
    handleEvent(JSON.parse(message.data));
  };
  stream.onopen = () => { isLost = false; };
  stream.onerror = () => {
    if (!isLost) say(t("offline"), true);
    isLost = true;
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(after), 2000);
  };
}

// ── images from outside ───────────────────────────────────────────────────────────────────────

async function takeImage(file) {
  const answer = await ask(t("ask-image"), [
    ["read", t("read-image")], ["mask", t("draw-mask")], ["use", t("use-image"), "primary"]]);
  try {
    if (answer === "read") await readRecord(file);
    else if (answer) {
      const upload = await sendImage("/api/uploads", file);
      if (answer === "use") setLine(await editLine(getLine(), "init_img", [upload.name]));
      else await paint(getLine(), upload.name, `/uploads/${upload.name.split("/").pop()}`);
    }
  } catch (error) {
    say(error.message, true);
  }
}

async function readRecord(file) {
  const found = await sendImage("/api/info", file);
  if (!found.line) return say(t("no-record"), true);
  setLine(found.line);
  for (const note of found.notes) say(localize(note));
}

const imageOf = (data) => [...data.files].find((file) => file.type.startsWith("image/"));
let entered = 0;
addEventListener("dragenter", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  entered++;
  $("drop").hidden = false;
});
addEventListener("dragleave", () => { if (--entered <= 0) { entered = 0; $("drop").hidden = true; } });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  $("drop").hidden = true;
  const file = imageOf(event.dataTransfer);
  if (file) takeImage(file);
});
addEventListener("paste", (event) => {
  const file = imageOf(event.clipboardData);
  if (file) { event.preventDefault(); takeImage(file); }
});
$("file").onchange = () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) takeImage(file);
};

addEventListener("keydown", (event) => {
  const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
  if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    $("line").focus();
  }
});

// ── start ─────────────────────────────────────────────────────────────────────────────────────

applyTheme();
translate();
[$("language").textContent, $("language").lang] = otherLanguage();
beginOptions();
beginLine();
loadMore().catch((error) => say(error.message, true));
loadState().then((state) => listen(state.event)).catch((error) => { say(error.message, true); listen(""); });
loadModels().catch((error) => say(error.message, true));
