/* Painting a mask: a PNG of the image's size, transparent where it is made anew. */

import { sendImage } from "./api.js";
import { $ } from "./dom.js";
import { t } from "./strings.js";

const dialog = $("masker"), canvas = $("canvas"), pen = canvas.getContext("2d"), size = $("brush-size");

/* Stripes of a light and a dark colour, to be seen on any image. */
const stripes = (() => {
  const tile = new OffscreenCanvas(12, 12), on = tile.getContext("2d");
  on.fillStyle = "rgb(90 73 214 / 78%)";
  on.fillRect(0, 0, 12, 12);
  on.strokeStyle = "rgb(255 255 255 / 82%)";
  on.lineWidth = 3;
  for (const x of [-12, 0, 12]) {
    on.moveTo(x - 3, 15);
    on.lineTo(x + 15, -3);
  }
  on.stroke();
  return pen.createPattern(tile, "repeat");
})();

let image = null, mask = null, strokes = [], stroke = null, erasing = false, zoom = 1, cursor = null, result = "", frame = 0;
const fingers = new Map();

/* Resolves to the handle of the uploaded mask; "" if the dialog was closed. */
export async function openMask(url) {
  image = new Image();
  image.src = url;
  await image.decode().catch(() => { throw new Error(t("no-image")); });
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  mask = new OffscreenCanvas(canvas.width, canvas.height);
  strokes = [];
  cursor = null;
  result = "";
  $("mask-error").textContent = "";
  zoom = 0;
  size.max = Math.round(Math.max(canvas.width, canvas.height) / 3);
  size.value = Math.round(Math.max(canvas.width, canvas.height) / 12);
  setErasing(false);
  dialog.showModal();
  fit();
  redraw();
  canvas.focus();
  return new Promise((resolve) => { dialog.onclose = () => resolve(result); });
}

function fit() {
  const easel = canvas.parentElement;
  const scale = Math.min((easel.clientWidth - 4) / canvas.width, (innerHeight * 0.62) / canvas.height, 3);
  zoom = Math.max(scale, 0.05);
  place();
}

function place() {
  canvas.style.width = `${Math.round(canvas.width * zoom)}px`;
  canvas.style.height = `${Math.round(canvas.height * zoom)}px`;
}

// ── the mask is what the strokes make of an empty one ─────────────────────────────────────────

function draw(on, one) {
  if (one.invert) {
    on.globalCompositeOperation = "source-out";
    on.fillStyle = "#000";
    on.fillRect(0, 0, canvas.width, canvas.height);
    return;
  }
  on.globalCompositeOperation = one.erase ? "destination-out" : "source-over";
  on.strokeStyle = on.fillStyle = "#000";
  on.lineWidth = one.radius * 2;
  on.lineCap = on.lineJoin = "round";
  on.beginPath();
  const [x, y] = one.points[0];
  if (one.points.length === 1) {
    on.arc(x, y, one.radius, 0, Math.PI * 2);
    on.fill();
    return;
  }
  on.moveTo(x, y);
  for (const point of one.points.slice(1)) on.lineTo(...point);
  on.stroke();
}

function redraw(all = true) {
  const on = mask.getContext("2d");
  if (all) {
    on.globalCompositeOperation = "source-over";
    on.clearRect(0, 0, canvas.width, canvas.height);
    for (const one of strokes) draw(on, one);
  } else draw(on, stroke);
  pen.globalCompositeOperation = "copy";
  pen.drawImage(mask, 0, 0);
  pen.globalCompositeOperation = "source-in";
  stripes.setTransform(new DOMMatrix().scale(1 / zoom));
  pen.fillStyle = stripes;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.globalCompositeOperation = "destination-over";
  pen.drawImage(image, 0, 0);
  if (cursor) {
    pen.globalCompositeOperation = "difference";
    pen.strokeStyle = "#fff";
    pen.lineWidth = Math.max(1, 2 / zoom);
    pen.beginPath();
    pen.arc(...cursor, Number(size.value) / 2, 0, Math.PI * 2);
    pen.stroke();
  }
}

const where = (event) => {
  const area = canvas.getBoundingClientRect();
  return [((event.clientX - area.left) / area.width) * canvas.width,
    ((event.clientY - area.top) / area.height) * canvas.height];
};

canvas.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  canvas.focus();
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size > 1) {  // two fingers move the image; what the first began is taken back
    if (stroke) strokes = strokes.filter((one) => one !== stroke);
    stroke = null;
    redraw();
    return;
  }
  cursor = null;
  stroke = { erase: erasing || event.button === 2, radius: Number(size.value) / 2, points: [where(event)] };
  strokes.push(stroke);
  redraw(false);
});
canvas.addEventListener("pointermove", (event) => {
  const from = fingers.get(event.pointerId);
  if (!from) return;
  if (fingers.size > 1) {
    canvas.parentElement.scrollBy((from[0] - event.clientX) / 2, (from[1] - event.clientY) / 2);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  } else if (stroke) {
    const moves = event.getCoalescedEvents?.() || [];
    for (const move of moves.length ? moves : [event]) stroke.points.push(where(move));
    frame ||= requestAnimationFrame(drawStroke);  // a large image takes longer than a move
  }
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    fingers.delete(event.pointerId);
    if (frame) drawStroke();
    stroke = null;
  });
}

function drawStroke() {
  cancelAnimationFrame(frame);
  frame = 0;
  if (stroke) redraw(false);
}

canvas.addEventListener("contextmenu", (event) => event.preventDefault());

function setErasing(on) {
  erasing = on;
  dialog.querySelector('[data-do="brush"]').setAttribute("aria-pressed", String(!on));
  dialog.querySelector('[data-do="eraser"]').setAttribute("aria-pressed", String(on));
}

function resize(factor) {
  zoom = Math.min(16, Math.max(0.05, zoom * factor));
  place();
  redraw();
}

const DO = {
  brush: () => setErasing(false),
  eraser: () => setErasing(true),
  undo: () => { strokes.pop(); redraw(); },
  invert: () => { strokes.push({ invert: true }); redraw(); },
  smaller: () => resize(1 / 1.4),
  larger: () => resize(1.4),
  close: () => dialog.close(),
  use: finish,
};
dialog.addEventListener("click", (event) => DO[event.target.dataset?.do]?.());

const KEYS = { e: () => setErasing(!erasing), z: DO.undo, i: DO.invert, "+": DO.larger, "=": DO.larger, "-": DO.smaller,
  "[": () => { size.value = Number(size.value) * 0.8; }, "]": () => { size.value = Number(size.value) * 1.25 + 1; } };
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  const key = event.key, step = Number(size.value) / 2;
  if (event.ctrlKey && key !== "z") return;
  if (MOVES[key]) {
    cursor ??= [canvas.width / 2, canvas.height / 2];
    cursor = cursor.map((at, n) => Math.min([canvas.width, canvas.height][n], Math.max(0, at + MOVES[key][n] * step)));
  } else if (key === " ") {
    cursor ??= [canvas.width / 2, canvas.height / 2];
    strokes.push({ erase: erasing, radius: step, points: [[...cursor]] });
  } else if (KEYS[key]) KEYS[key]();
  else return;
  event.preventDefault();
  redraw();
});

async function finish() {
  const out = new OffscreenCanvas(canvas.width, canvas.height), on = out.getContext("2d");
  const painted = mask.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < painted.data.length; at += 4) {  // no half-transparent edge
    const isPainted = painted.data[at + 3] > 127;
    painted.data.set([255, 255, 255, isPainted ? 0 : 255], at);
  }
  on.putImageData(painted, 0, 0);
  try {
    const blob = await out.convertToBlob({ type: "image/png" });
    result = (await sendImage("/api/uploads", blob)).name;
    dialog.close();
  } catch (error) {  // what was painted is not lost
    $("mask-error").textContent = error.message;
  }
}
