// The page of a review: shows figures, takes answers, and shows the next figure when an answer is on the disk.

const AHEAD = 4; // figures whose pictures are fetched before they are shown
const KEPT = 24; // figures whose pictures are kept
const RECENT = 10;
const NAMES = { AMF: "Atypical", NMF: "Normal", none: "No mitosis", unsure: "Unsure" };
const KEYS = { a: "AMF", n: "NMF", x: "none", u: "unsure" };
const WHOLE = "All figures were looked at: the fraction is a count, and nothing is estimated.";
const ENDED = "The program that this page belongs to has ended. Every answer that it took is in review.csv. The same command goes on where you stopped.";
const ZOOMS = [1, 1.5, 2, 3];

const byId = (id) => document.getElementById(id);
const pictures = new Map(); // figure -> {close, wide, ready}
const recent = []; // figures in the order in which they were answered
let session;
let at = 0; // the figure that is shown
let ready = false; // its pictures can be seen
let busy = false; // an answer is on its way
let zoom = 0;

class Refused extends Error {}

async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  let text;
  try {
    response = await fetch(path, body ? post : {});
    text = await response.text();
  } catch {
    throw new Refused(ENDED);
  }
  if (!response.ok) throw new Refused(text);
  return JSON.parse(text);
}

function complain(trouble) {
  if (!(trouble instanceof Refused)) throw trouble;
  byId("trouble").textContent = trouble.message;
  byId("trouble").hidden = false;
}

// Pictures

function picturesOf(figure) {
  if (!pictures.has(figure)) {
    const found = {};
    for (const { name, side } of session.views) {
      found[name] = new Image();
      found[name].alt = `Figure ${figure + 1}, ${side} µm across`;
      found[name].src = `${figure}/${name}`;
    }
    found.ready = Promise.all(session.views.map(({ name }) => found[name].decode()));
    found.ready.catch(() => {}); // said when the figure is shown
    pictures.set(figure, found);
    if (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(figure);
}

async function showPictures(figure) {
  const section = byId("figure");
  const found = picturesOf(figure);
  section.classList.add("waiting");
  try {
    await found.ready;
  } catch {
    pictures.delete(figure);
    if (figure !== at) return;
    // The pictures themselves do not say why.
    const response = await fetch(found.close.src).catch(() => null);
    const reason = response && !response.ok ? `: ${await response.text()}` : "";
    complain(new Refused(`Figure ${figure + 1} cannot be shown${reason}. Go on to the next one.`));
    return;
  }
  if (figure !== at) return; // the person has gone on
  for (const { name } of session.views) {
    const place = byId(name);
    place.querySelector("img")?.remove();
    place.prepend(found[name]);
  }
  section.classList.remove("waiting");
  section.dataset.figure = figure;
  ready = true;
}

// Figures

function show(figure) {
  at = figure;
  ready = false;
  byId("end").hidden = true;
  byId("figure").hidden = false;
  byId("trouble").hidden = true;
  const { slide, x, y } = session.figures[figure];
  byId("title").textContent = `Figure ${figure + 1} of ${session.figures.length}`;
  byId("slide").textContent = [`${session.slides[slide].name}, x ${x}, y ${y}`, session.reader].filter(Boolean).join(" · ");
  showModel(session.figures[figure], session.slides[slide]);
  showState();
  showPictures(figure);
  fetchAhead(figure);
}

// One after the other, so that neither an answer nor the figure that is shown has to wait for them.
async function fetchAhead(figure) {
  let ahead = figure;
  for (let i = 0; i <= AHEAD && at === figure; i += 1) {
    await picturesOf(ahead).ready.catch(() => {});
    ahead = nextOpen(ahead);
    if (ahead === null) return;
  }
}

function showModel({ p, call, subtype, doubt }, { threshold }) {
  if (p === undefined) {
    byId("model").textContent = "Blind: the model’s answer is hidden";
    return;
  }
  const told = [`P(atypical) ${p.toFixed(2)}, called atypical from ${threshold.toFixed(2)} on`];
  if (subtype) told.push(subtype);
  if (doubt !== null) told.push(`experts would disagree with probability ${doubt.toFixed(2)}`);
  const called = call ? [symbol(call), ` ${NAMES[call]}`] : ["uncertain"];
  byId("model").replaceChildren("Model: ", ...called, "; ", told.join("; "));
}

function showState() {
  const answered = session.answers.filter((word) => word !== null).length;
  byId("line").textContent = session.line;
  byId("progress").max = session.figures.length;
  byId("progress").value = answered;
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.setAttribute("aria-pressed", session.answers[at] === button.dataset.answer);
  }
  const items = recent.slice(-RECENT).map((figure) => {
    const word = session.answers[figure];
    const button = document.createElement("button");
    const picture = new Image();
    const mark = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-label", `Figure ${figure + 1}: ${NAMES[word]}`);
    button.addEventListener("click", () => show(figure));
    picture.alt = "";
    picture.src = `${figure}/close`;
    mark.append(symbol(word));
    button.append(picture, mark);
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  byId("recent").replaceChildren(...items);
}

function symbol(word) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", word);
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${word}`);
  svg.append(use);
  return svg;
}

// The next figure without an answer, from this one on and round; null where there is no other.
function nextOpen(figure) {
  const n = session.answers.length;
  for (let step = 1; step < n; step += 1) {
    const other = (figure + step) % n;
    if (session.answers[other] === null) return other;
  }
  return null;
}

function goOn() {
  const open = nextOpen(at);
  if (open !== null) show(open);
  else if (session.answers[at] !== null) showEnd();
}

function move(step) {
  const figure = at + step;
  if (figure >= 0 && figure < session.figures.length) show(figure);
  else if (step > 0) goOn();
}

// Answers

async function answer(word) {
  // Nobody can mean an answer to a figure that is not yet there to be seen.
  if (busy || !ready || byId("figure").hidden) return;
  busy = true;
  try {
    take(await ask("answer", { figure: at, answer: word }));
    const before = recent.indexOf(at);
    if (before >= 0) recent.splice(before, 1);
    recent.push(at);
    goOn();
  } catch (trouble) {
    complain(trouble);
  } finally {
    busy = false;
  }
}

async function undo() {
  if (busy) return;
  busy = true;
  try {
    const said = await ask("undo", {});
    if (said === null) {
      complain(new Refused("There is nothing to undo since the review was opened; ← goes back to earlier figures."));
      return;
    }
    take(said);
    if (said.answer === null && recent.includes(said.figure)) recent.splice(recent.indexOf(said.figure), 1);
    show(said.figure);
  } catch (trouble) {
    complain(trouble);
  } finally {
    busy = false;
  }
}

function take({ figure, answer: word, line }) {
  session.answers[figure] = word;
  session.line = line;
}

// The end

async function showEnd() {
  showState();
  byId("figure").hidden = true;
  byId("end").hidden = false;
  byId("title").textContent = "Review";
  byId("slide").textContent = "";
  byId("end-line").textContent = session.line;
  const counts = Object.keys(NAMES).map((word) => {
    const item = document.createElement("li");
    const n = session.answers.filter((other) => other === word).length;
    item.append(symbol(word), `${n} ${NAMES[word].toLowerCase()}`);
    return item;
  });
  byId("counts").replaceChildren(...counts);
  byId("end-note").textContent = {
    all: WHOLE,
    doubt: WHOLE,
    random: "These figures are a random sample. slidemitosis count takes them together with what the model says of all.",
  }[session.order];
  byId("again").hidden = !session.answers.includes("unsure");
  byId("end-title").focus();
  try {
    showReaders(await ask("agreement"));
  } catch (trouble) {
    complain(trouble);
  }
}

function showReaders({ lines, apart }) {
  byId("readers").hidden = lines.length === 0;
  byId("agreement").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  byId("apart-note").hidden = apart.length === 0;
  byId("apart").replaceChildren(...apart.map(({ figure, said }) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Figure ${figure + 1}`;
    button.addEventListener("click", () => show(figure));
    item.append(button);
    for (const [reader, word] of Object.entries(said)) {
      const one = document.createElement("span");
      one.append(`${reader || "without a name"}: `, symbol(word), ` ${NAMES[word].toLowerCase()}`);
      item.append(one);
    }
    return item;
  }));
}

async function finish() {
  try {
    await ask("finish", {});
    for (const id of ["figure", "end", "recent", "help"]) byId(id).hidden = true;
    byId("over").hidden = false;
    byId("over-title").focus();
  } catch (trouble) {
    complain(trouble);
  }
}

// Looks

// Kept from figure to figure, as a microscope keeps its objective.
function setZoom(step) {
  zoom = Math.min(Math.max(step, 0), ZOOMS.length - 1);
  byId("close").dataset.zoom = zoom;
  showBars();
}

function showBars() {
  for (const { name, side } of session.views) {
    const um = side > 100 ? 50 : 10;
    const enlarged = name === "close" ? ZOOMS[zoom] : 1;
    const bar = byId(`${name}-bar`);
    bar.textContent = `${um} µm`;
    bar.style.width = `calc(var(--side) * ${(um / side) * enlarged})`;
  }
}

function placeFrame() {
  const [close, wide] = session.views;
  const share = (close.side / wide.side) * 100;
  const { style } = byId("frame");
  style.width = `${share}%`;
  style.height = `${share}%`;
  style.left = `${50 - share / 2}%`;
  style.top = `${50 - share / 2}%`;
}

// Keys

const COMMANDS = {
  z: undo,
  Backspace: undo,
  ArrowRight: () => move(1),
  ArrowLeft: () => (byId("figure").hidden ? show(at) : move(-1)),
  o: goOn,
  "+": () => setZoom(zoom + 1),
  "=": () => setZoom(zoom + 1),
  "-": () => setZoom(zoom - 1),
  m: () => byId("figure").classList.toggle("unmarked"),
  "?": () => byId("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  // A key that is held down answers once.
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (byId("keys").open || !byId("over").hidden || !session) return;
  if (!byId("single").checked && event.key.length === 1 && event.key !== "?") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = key in KEYS ? () => answer(KEYS[key]) : COMMANDS[key];
  if (!command) return;
  event.preventDefault();
  command();
});

for (const button of document.querySelectorAll("[data-answer]")) {
  button.addEventListener("click", () => answer(button.dataset.answer));
}
byId("undo").addEventListener("click", undo);
byId("previous").addEventListener("click", () => move(-1));
byId("next").addEventListener("click", () => move(1));
byId("back").addEventListener("click", () => show(at));
byId("again").addEventListener("click", () => show(session.answers.indexOf("unsure")));
byId("finish").addEventListener("click", finish);
byId("help").addEventListener("click", () => byId("keys").showModal());

try {
  session = await ask("session");
  placeFrame();
  showBars();
  recent.push(...[...session.answers.keys()].filter((figure) => session.answers[figure] !== null));
  const open = session.answers.indexOf(null);
  if (open >= 0) show(open);
  else showEnd();
} catch (trouble) {
  complain(trouble);
}
