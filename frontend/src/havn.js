// What script adds to a form that already works without it: saves while one types, redraws what changed, keeps what is
// under one's fingers. Everything is decided on the server; the form's attributes say where to send and what to say.
import htmx from "htmx.org/dist/htmx.esm.js";

htmx.config.includeIndicatorCSS = false;
htmx.config.defaultTimeout = 30000;
htmx.config.noSwap = [204, 304];

document.addEventListener("click", (event) => event.target.closest?.("[data-print]") && print());
const form = document.querySelector("form[data-form]");
document.documentElement.classList.add("hv-script");
if (form) start(form);

function start(form) {
  const status = document.getElementById("hv-status");
  const texts = JSON.parse(form.dataset.texts);
  const typingDelay = 400;
  let timer = 0; // a save is due
  let sending = null; // a promise while a request is under way
  let sent = new Map(); // what each field held when the request under way left
  let unsaved = false;
  let leaving = false;
  let retry = 0;
  let typing = ""; // the field that a save while typing is about

  // Typing and choosing -------------------------------------------------------------------------------------------
  form.addEventListener("input", (event) => {
    if (!savable(event.target)) return;
    unsaved = true;
    const wait = event.target.dataset.saveWhileTyping;
    if (wait === "false") return;
    typing = isChoice(event.target) ? "" : event.target.name;
    later(isChoice(event.target) ? 0 : Number(wait) || typingDelay);
  });
  form.addEventListener("change", (event) => {
    if (event.target.type === "file") {
      const button = form.querySelector(`[data-upload-for="${CSS.escape(event.target.id)}"]`);
      if (button && event.target.files.length) send(button, texts.uploading);
    } else if (savable(event.target)) {
      unsaved = true;
      typing = "";
      later(0);
    }
  });

  function later(delay) {
    if (form.dataset.autosave !== "change") {
      clearTimeout(timer);
      timer = setTimeout(save, delay);
    }
  }

  async function save() {
    clearTimeout(timer);
    timer = 0;
    if (sending) await sending;
    if (!leaving && unsaved) await send(null, texts.saving);
  }

  // One request at a time: the answer carries the versions that the next one is compared with.
  async function send(submitter, saying) {
    clearTimeout(timer);
    while (sending) await sending;
    let done;
    sending = new Promise((resolve) => (done = resolve));
    unsaved = false;
    sent = snapshot();
    if (submitter) submitter.setAttribute("aria-busy", "true");
    say("saving", saying);
    let status = 0;
    const finished = (event) => (status = event.detail.ctx.response?.status ?? 0);
    form.addEventListener("htmx:finally:request", finished, { once: true });
    try {
      await htmx.ajax("POST", form.getAttribute("action"), {
        source: form, swap: "none", event: submitter ? { submitter } : {},
        values: submitter?.name ? { [submitter.name]: submitter.value } : { _action: "auto", _typing: typing },
      });
    } catch {
      status = 0;
    }
    submitter?.removeAttribute("aria-busy");
    const files = submitter?.dataset.uploadFor && document.getElementById(submitter.dataset.uploadFor);
    if (files) files.value = "";
    sending = null;
    if (status >= 200 && status < 300) settle();
    outcome(status);
    done();
  }

  function outcome(status) {
    if (status >= 200 && status < 400) {
      retry = 0;
      if (!unsaved) say("saved", texts.saved);
      return;
    }
    unsaved = true;
    if (status === 401) say("problem", texts.signedOut);
    else if (status === 0 || status >= 500) {
      say("problem", texts.offline);
      retry = Math.min(retry + 1, 6);
      clearTimeout(timer);
      timer = setTimeout(save, 1000 * 2 ** retry);
    } else say("problem", texts.failed);
  }
  addEventListener("online", save);
  addEventListener("focus", () => unsaved && save());

  // Files travel only with the button that sends them.
  form.addEventListener("htmx:config:request", (event) => {
    const { body, submitter } = event.detail.ctx.request;
    const sender = submitter?.dataset.uploadFor;
    for (const name of new Set([...form.querySelectorAll("input[type=file]")].map((input) => input.name))) {
      if (!sender || document.getElementById(sender)?.name !== name) body.delete?.(name);
    }
    if (!sender) event.detail.ctx.request.body = body;
  });

  // Buttons -------------------------------------------------------------------------------------------------------
  form.addEventListener("submit", (event) => {
    const submitter = event.submitter;
    if (submitter?.hasAttribute("data-partial")) {
      event.preventDefault();
      if (submitter.getAttribute("aria-busy") !== "true") send(submitter, texts.saving);
      return;
    }
    if (leaving) return event.preventDefault();
    leaving = true;
    clearTimeout(timer);
    submitter?.setAttribute("aria-busy", "true");
    if (sending) {
      event.preventDefault();
      sending.then(() => {
        leaving = false;
        submitter?.removeAttribute("aria-busy");
        form.requestSubmit(submitter);
      });
    }
  });
  // A page taken back from the browser's memory shows old values under old versions.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  addEventListener("beforeunload", (event) => unsaved && !leaving && event.preventDefault());

  // Redrawing -----------------------------------------------------------------------------------------------------
  function snapshot() {
    return new Map([...form.elements].filter((field) => field.id).map((field) => [field.id, held(field)]));
  }
  const touched = (field) => field.id && sent.has(field.id) && sent.get(field.id) !== held(field);

  htmx.registerExtension("keep", {
    // What was typed after the request left is newer than the answer.
    htmx_before_morph_attr: (element, { attrName }) => !(attrName === "value" && typeof element.form === "object" && touched(element)),
  });

  // Properties that attributes no longer reach once a field has been used.
  let focusedBefore = null;
  form.addEventListener("htmx:before:swap", () => (focusedBefore = document.activeElement?.id));
  function settle() {
    for (const field of form.elements) {
      if (touched(field) || field === document.activeElement && field.type !== "radio" && field.type !== "checkbox") continue;
      if (field.type === "radio" || field.type === "checkbox") field.checked = field.defaultChecked;
      else if (field.tagName === "SELECT") for (const option of field.options) option.selected = option.defaultSelected;
      else if (field.tagName === "TEXTAREA" && field.value !== field.defaultValue) field.value = field.defaultValue;
      else if (field.type !== "file" && "defaultValue" in field && field.value !== field.defaultValue) field.value = field.defaultValue;
    }
    if ([...form.elements].some((field) => savable(field) && touched(field))) {
      unsaved = true;
      later(typingDelay);
    }
  }

  // The server names the element that should have focus, or the page to go to.
  form.addEventListener("havn:focus", (event) => {
    const element = document.getElementById(event.detail.value);
    if (!element) return;
    if (!element.matches("input, select, textarea, button, a[href], summary")) element.tabIndex = -1;
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".ds-error-summary a[href^='#']");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    for (let place = field.closest("details"); place; place = place.parentElement.closest("details")) place.open = true;
    field.focus();
    (field.closest(".hv-field") ?? field).scrollIntoView({ block: "center" });
  });

  // Signed in as long as one works.
  let active = false;
  for (const name of ["keydown", "pointerdown"]) addEventListener(name, () => (active = true), { passive: true });
  if (form.dataset.keepAlive) {
    setInterval(() => {
      if (active) fetch(form.dataset.keepAlive, { credentials: "same-origin" }).catch(() => {});
      active = false;
    }, 600000);
  }

  function say(state, text) {
    if (!status) return;
    status.dataset.state = state;
    status.firstElementChild.textContent = text;
  }
}

const isChoice = (field) => ["radio", "checkbox", "select-one", "select-multiple", "date"].includes(field.type);
const savable = (field) => field.name && !field.name.startsWith("_") && field.type !== "file" && field.type !== "submit";
const held = (field) =>
  field.type === "radio" || field.type === "checkbox" ? field.checked
  : field.type === "select-multiple" ? [...field.selectedOptions].map((option) => option.value).join("\n")
  : field.value;
