/* Small helpers. Text is only ever put in as text. */

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/* The action, once there was no call of it for so many milliseconds. */
export function debounce(delay, action) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), delay);
  };
}

/* Ask a question with one button for each answer; resolves to the answer's key, or "". */
export function ask(text, answers) {
  const dialog = $("question");
  $("question-text").textContent = text;
  return new Promise((resolve) => {
    let given = "";
    $("answers").replaceChildren(
      ...answers.map(([key, label, kind]) =>
        make("button", {
          type: "button", textContent: label, className: kind || "",
          onclick: () => { given = key; dialog.close(); },
        })),
    );
    dialog.onclose = () => resolve(given);
    dialog.showModal();
  });
}

export function say(text, wrong = false) {
  $("notes").hidden = false;
  $("messages").prepend(make("p", { textContent: text, className: wrong ? "wrong" : "" }));
  while ($("messages").childElementCount > 40) $("messages").lastChild.remove();
}
