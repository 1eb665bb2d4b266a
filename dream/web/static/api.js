/* Calls the server. Errors are thrown with the text that a person reads, also where none answers. */

import { localize, t } from "./strings.js";

export class ApiError extends Error {
  constructor(status, body) {
    super(localize(body.hint ? `${body.error} (${body.hint})` : body.error || t("no-sentence", `HTTP ${status}`)));
    this.status = status;
    this.column = body.column || 0;
  }
}

export async function call(method, path, body) {
  const init = { method, headers: {} };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const answer = await fetch(path, init).catch(() => { throw new Error(t("offline")); });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, data);
  return data;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/* A name in an address: every part is escaped, the slashes between them stay. */
export const address = (name) => name.split("/").map(encodeURIComponent).join("/");

export async function sendImage(path, blob) {
  const form = new FormData();
  form.append("image", blob, "image");
  return call("POST", path, form);
}

export const editLine = async (line, field, value) =>
  (await post("/api/edit", { line, field, value })).line;

/* A file name as one word of a line. */
export const quoted = (name) =>
  /^[\w./-]+$/.test(name) && !name.startsWith("-") ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
