"use strict";
// The page of a server: a panel for each model, by what its family can do.

const COLOURS = ["#e6194b", "#3cb44b", "#0082c8", "#f58231", "#911eb4", "#00a0a0", "#f032e6", "#806400"];
const SVG = "http://www.w3.org/2000/svg";
let token = sessionStorage.getItem("token") || "";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function headers(type) {
  const all = type ? { "Content-Type": type } : {};
  if (token) all.Authorization = `Bearer ${token}`;
  return all;
}

async function failure(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `the server answers ${response.status}`;
  }
}

async function ask(model, verb, body, query = "") {
  const type = body instanceof Blob ? body.type || "application/octet-stream" : "application/json";
  const sent = body instanceof Blob ? body : JSON.stringify(body);
  const response = await fetch(`v1/models/${model}/${verb}${query}`, { method: "POST", headers: headers(type), body: sent });
  if (!response.ok) throw new Error(await failure(response));
  return response;
}

// A place for answers, and a way to put one there that shows what went wrong instead where something did.
function answers() {
  const place = element("div", { role: "status" });
  const run = async (work) => {
    place.replaceChildren("…");
    try {
      const shown = await work(place);
      if (shown !== undefined) place.replaceChildren(...[shown].flat());
    } catch (error) {
      place.replaceChildren(element("p", { class: "wrong" }, error.message));
    }
  };
  return { place, run };
}

let fields = 0;
function field(label, attributes = {}, kind = "input") {
  const id = `field-${++fields}`;
  const input = element(kind, { id, ...attributes });
  if (kind === "textarea" && attributes.value) input.value = attributes.value;
  const wide = kind === "textarea" ? { class: "wide" } : {};
  return { input, whole: element("div", wide, element("label", { for: id }, label), input) };
}

function form(button, work, ...parts) {
  return element("form", { onsubmit: (event) => { event.preventDefault(); work(); } }, ...parts, element("button", {}, button));
}

function number(value) {
  return Number.isInteger(value) ? String(value) : Math.abs(value) >= 1e-3 || value === 0 ? value.toFixed(4) : value.toExponential(2);
}

function table(head, rows) {
  return element("div", { class: "scroll", tabindex: "0" }, element("table", {},
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell instanceof Node ? cell : typeof cell === "number" ? number(cell) : String(cell))))))));
}

// A place for a picture: dropped, chosen, or pasted.
function pictureInput(label, work) {
  const chosen = field(label, { type: "file", accept: "image/*", onchange: () => chosen.input.files[0] && work(chosen.input.files[0]) });
  const zone = element("div", {
    class: "drop",
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (event.dataTransfer.files[0]) work(event.dataTransfer.files[0]);
    },
  }, "Drop a picture here, or choose one. ", chosen.whole);
  return zone;
}

function classifier(model) {
  const { place, run } = answers();
  const show = (file) => run(async () => {
    const found = await (await ask(model.name, "classify", file)).json();
    const picture = element("img", { src: URL.createObjectURL(file), alt: "The picture that was sent", width: "224" });
    const rows = found.classes.map(({ class: name, probability }) => [name, element("meter", { min: 0, max: 1, value: probability, "aria-label": name }), probability]);
    return [element("figure", {}, picture), table(["class", "", "probability"], rows)];
  });
  return [pictureInput("A picture", show), place];
}

function detector(model) {
  const { place, run } = answers();
  const least = field("Least score", { type: "number", min: 0, max: 1, step: 0.05, value: 0.3 });
  let last;
  const show = (file) => run(async () => {
    last = file;
    const found = await (await ask(model.name, "detect", file, `?least_score=${least.input.value}`)).json();
    const view = drawn("svg", { viewBox: `0 0 ${found.width} ${found.height}`, width: Math.max(320, found.width), role: "img", "aria-label": `${found.boxes.length} boxes` });
    view.append(drawn("image", { href: URL.createObjectURL(file), width: found.width, height: found.height }));
    const names = model.about.categories;
    const marks = found.boxes.map((box) => {
      const [left, top, right, bottom] = box.box;
      const colour = COLOURS[names.indexOf(box.category) % COLOURS.length];
      const unit = Math.max(found.width, found.height) / 100;
      const group = drawn("g", {});
      const votes = drawn("g", { visibility: "hidden" });
      for (const [i, row] of (box.votes || []).entries()) {
        const most = Math.max(...box.votes.flat().map(Math.abs));
        for (const [j, vote] of row.entries()) {
          const [w, h] = [(right - left) / row.length, (bottom - top) / box.votes.length];
          votes.append(drawn("rect", { x: left + j * w, y: top + i * h, width: w, height: h, fill: vote > 0 ? "#00c000" : "#e00000", "fill-opacity": 0.2 + 0.5 * Math.abs(vote) / most }));
        }
      }
      group.append(votes, drawn("rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "none", stroke: colour, "stroke-width": unit / 3 }));
      const words = drawn("text", { x: left, y: Math.max(top - unit / 2, 2.5 * unit), "font-size": 2.5 * unit, fill: colour, stroke: "#fff", "stroke-width": unit / 8, "paint-order": "stroke" });
      words.textContent = `${box.category} ${box.score.toFixed(2)}`;
      group.append(words);
      view.append(group);
      return votes;
    });
    const rows = found.boxes.map((box, at) => {
      const toggle = element("button", { class: "plain", type: "button", "aria-pressed": "false", onclick: () => {
        const now = marks[at].getAttribute("visibility") === "hidden";
        marks[at].setAttribute("visibility", now ? "visible" : "hidden");
        toggle.setAttribute("aria-pressed", String(now));
      } }, "votes");
      return [box.category, box.score, box.box.map((side) => side.toFixed(0)).join(", "), box.votes ? toggle : `branch ${box.branch}`];
    });
    return [element("figure", {}, view), rows.length ? table(["category", "score", "left, top, right, bottom", ""], rows) : "Nothing is found."];
  });
  return [pictureInput("A picture", show), form("Again", () => last && show(last), least.whole), place];
}

function tokenizer(model) {
  const { place, run } = answers();
  const text = field("A text", { value: "The quick brown fox jumps over the lazy dog." }, "textarea");
  const work = () => run(async () => {
    const found = await (await ask(model.name, "encode", { text: text.input.value })).json();
    const tokens = found.tokens.map((token, at) => element("span", { class: "token", title: `id ${found.ids[at]}` }, token.replaceAll("\\n", "↵\n")));
    return [element("p", {}, `${found.ids.length} tokens of ${new TextEncoder().encode(text.input.value).length} bytes`), element("div", { class: "text" }, ...tokens)];
  });
  return [form("Encode", work, text.whole), place];
}

function words(model) {
  const { place, run } = answers();
  const example = model.verbs[0].example.word;
  const word = field("A word", { value: example });
  const [a, b, c] = ["as", "is to", "so"].map((label) => field(label, {}));
  const shown = (found) => table(["word", "cosine"], found.words.map((one) => [one.word, one.score]));
  return [
    form("Neighbours", () => run(async () => shown(await (await ask(model.name, "neighbours", { word: word.input.value })).json())), word.whole),
    form("Analogy", () => run(async () => shown(await (await ask(model.name, "analogy", { a: a.input.value, b: b.input.value, c: c.input.value })).json())), a.whole, b.whole, c.whole),
    place,
  ];
}

function writer(model) {
  const { place, run } = answers();
  const prompt = field("It begins", {}, "textarea");
  const length = field("Units", { type: "number", min: 1, max: 10000, value: 300 });
  const temperature = field("Temperature", { type: "number", min: 0, step: 0.1, value: 0.8 });
  const work = () => run(async (place) => {
    const body = { prompt: prompt.input.value, length: Number(length.input.value), temperature: Number(temperature.input.value), seed: Math.floor(Math.random() * 1e9) };
    const response = await ask(model.name, "generate", body, "?stream=true");
    const text = element("div", { class: "text" }, prompt.input.value);
    place.replaceChildren(text);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text.append(value);
    }
  });
  return [form("Write", work, prompt.whole, length.whole, temperature.whole), place];
}

// Text as rows: JSON, or lines of cells between commas under a line of names.
function parsed(text) {
  if (text.trim().startsWith("{")) return JSON.parse(text);
  const [head, ...lines] = text.trim().split(/\r?\n/).map((line) => line.split(",").map((cell) => cell.trim()));
  const cell = (text) => (text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text);
  return { columns: head, rows: lines.map((line) => line.map(cell)) };
}

function rows(model) {
  const { place, run } = answers();
  const parts = [];
  const names = [...model.about.columns, ...model.about.condition];
  if (model.verbs.some((verb) => verb.name === "score")) {
    const example = model.verbs.find((verb) => verb.name === "score").example.rows[0];
    const text = field("Rows, the names of their columns first", { value: `${names.join(",")}\n${names.map((name) => example[name]).join(",")}` }, "textarea");
    parts.push(form("Score", () => run(async () => {
      const asked = parsed(text.input.value);
      const found = await (await ask(model.name, "score", asked)).json();
      const key = Object.keys(found)[0];
      const at = (row, i) => (found.surprising_column ? [i + 1, found[key][i], found.surprising_column[i]] : [i + 1, found[key][i]]);
      return table(["row", key.replaceAll("_", " "), ...(found.surprising_column ? ["most surprising column"] : [])], asked.rows.map(at));
    }), text.whole));
  }
  const count = field("How many", { type: "number", min: 1, max: 10000, value: 200 });
  const seed = field("Seed", { type: "number", min: 0, value: 0 });
  const given = model.about.condition.map((name) => [name, field(`${name} is`, {})]);
  parts.push(form("Sample", () => run(async () => {
    const body = { count: Number(count.input.value), seed: Number(seed.input.value) };
    if (given.length) body.given = Object.fromEntries(given.map(([name, input]) => [name, input.input.value]));
    const found = await (await ask(model.name, "sample", body)).json();
    return shownRows(model.about.columns, found.rows);
  }), count.whole, seed.whole, ...given.map(([, input]) => input.whole)));
  return [...parts, place];
}

// Pixels as pictures, two numbers as points, and the rows themselves.
function shownRows(columns, all) {
  const shown = [];
  const side = Math.sqrt(columns.length);
  if (columns.length >= 16 && Number.isInteger(side) && columns.every((name) => /pixel/.test(name))) {
    const count = Math.min(all.length, 40);
    const canvas = element("canvas", { width: 10 * side, height: Math.ceil(count / 10) * side, style: "width:100%;image-rendering:pixelated", role: "img", "aria-label": `${count} images` });
    const context = canvas.getContext("2d");
    const most = Math.max(1, ...all.slice(0, count).flatMap((row) => columns.map((name) => row[name])));
    for (let at = 0; at < count; at++) {
      const image = context.createImageData(side, side);
      columns.forEach((name, i) => image.data.set([...Array(3).fill((255 * all[at][name]) / most), 255], 4 * i));
      context.putImageData(image, (at % 10) * side, Math.floor(at / 10) * side);
    }
    shown.push(element("figure", {}, canvas));
  } else if (columns.length >= 2 && all.every((row) => typeof row[columns[0]] === "number" && typeof row[columns[1]] === "number")) {
    shown.push(element("figure", {}, scatter(all.map((row) => [row[columns[0]], row[columns[1]]]), `${columns[0]} and ${columns[1]}`)));
  }
  shown.push(table(columns, all.slice(0, 200).map((row) => columns.map((name) => row[name]))));
  return shown;
}

function scatter(points, label) {
  const view = drawn("svg", { viewBox: "0 0 400 300", width: 480, role: "img", "aria-label": label });
  const range = (axis) => {
    const values = points.map((point) => point[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? (value - low) / (high - low) : 0.5);
  };
  const [x, y] = [range(0), range(1)];
  for (const point of points) view.append(drawn("circle", { cx: 10 + 380 * x(point[0]), cy: 290 - 280 * y(point[1]), r: 2, fill: "#0082c8", "fill-opacity": 0.6 }));
  return view;
}

// Two boards of points that are drawn by hand: a tree and clusters of one, a plan from one to the other.
function board(models) {
  const has = (family) => models.find((model) => model.family === family);
  const [graph, transport] = [has("graph"), has("transport")];
  const { place, run } = answers();
  const sets = [[], []];
  let current = 0;
  const view = drawn("svg", { viewBox: "0 0 600 360", width: 600, tabindex: 0, role: "application", "aria-label": "A board: click to put points; Enter puts one at random" });
  const layer = drawn("g", {});
  const dots = drawn("g", {});
  view.append(layer, dots);
  const put = (x, y) => {
    sets[current].push([x, y]);
    dots.append(drawn("circle", { cx: x, cy: y, r: 5, fill: COLOURS[current ? 0 : 2], stroke: "#fff" }));
  };
  view.addEventListener("pointerdown", (event) => {
    const box = view.getBoundingClientRect();
    put((600 * (event.clientX - box.left)) / box.width, (360 * (event.clientY - box.top)) / box.height);
  });
  const random = () => {
    const [x, y] = [80 + 440 * Math.random(), 60 + 240 * Math.random()];
    for (let i = 0; i < 12; i++) put(x + 40 * (Math.random() - 0.5), y + 40 * (Math.random() - 0.5));
  };
  view.addEventListener("keydown", (event) => {
    if (event.key === "Enter") put(600 * Math.random(), 360 * Math.random());
  });
  const line = (a, b, width = 1.5) => layer.append(drawn("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], stroke: "#777", "stroke-width": width }));
  const button = (words, work) => element("button", { type: "button", class: "plain", onclick: work }, words);
  const switchTo = button("Put points of the other set", () => { current = 1 - current; });
  const actions = [switchTo, button("Put twelve", random), button("Clear", () => {
    sets[0].length = sets[1].length = 0;
    dots.replaceChildren();
    layer.replaceChildren();
    place.replaceChildren();
  })];
  const all = () => [...sets[0], ...sets[1]];
  if (graph) {
    actions.push(button("Spanning tree", () => run(async () => {
      const points = all();
      const found = await (await ask(graph.name, "tree", { points })).json();
      layer.replaceChildren();
      found.links.forEach(([a, b]) => line(points[a], points[b]));
      return `A tree of length ${found.total_weight.toFixed(1)}.`;
    })));
    actions.push(button("Clusters", () => run(async () => {
      const found = await (await ask(graph.name, "cluster", { points: all(), min_cluster_size: 5, min_samples: Math.min(5, all().length) })).json();
      // Points are put in the order of the clicks, and sent set by set.
      const order = [...dots.children].sort((a, b) => all().findIndex((p) => p[0] == a.getAttribute("cx") && p[1] == a.getAttribute("cy")) - all().findIndex((p) => p[0] == b.getAttribute("cx") && p[1] == b.getAttribute("cy")));
      order.forEach((dot, at) => dot.setAttribute("fill", found.labels[at] === null ? "#999" : COLOURS[found.labels[at] % COLOURS.length]));
      return `${found.clusters} clusters; grey points are in none.`;
    })));
  }
  if (transport) {
    actions.push(button("Transport plan", () => run(async () => {
      const [from, to] = sets;
      const found = await (await ask(transport.name, "plan", { from, to })).json();
      layer.replaceChildren();
      found.plan.forEach((flow) => line(from[flow.from], to[flow.to], 0.5 + 4 * flow.mass * Math.max(from.length, to.length) / 2));
      return `Distance ${found.distance.toFixed(3)}; no plan is cheaper (gap ${found.gap.toExponential(0)}).`;
    })));
  }
  return element("section", { id: "board" }, element("h2", {}, "Points"), element("p", {}, "Click to put points."), element("figure", {}, view), element("form", {}, ...actions), place);
}

const PANELS = { classifier, detector, tokenizer, words, writer, rows };

function usage(model) {
  const lines = model.verbs.map((verb) => {
    const address = `${location.origin}/v1/models/${model.name}/${verb.name}`;
    const sent = verb.takes === "json" ? `-d '${JSON.stringify(verb.example)}'` : "--data-binary @picture.jpg";
    return `# ${verb.summary}\ncurl ${address} ${sent}`;
  });
  return element("details", {}, element("summary", {}, "For programs"), element("pre", { tabindex: "0" }, lines.join("\n\n")));
}

async function open() {
  const response = await fetch("v1/models", { headers: headers() });
  const access = document.getElementById("access");
  access.hidden = response.status !== 401;
  if (!response.ok) return;
  const { models } = await response.json();
  const panels = models.filter((model) => PANELS[model.panel]).map((model) => element("section", { id: model.name },
    element("h2", {}, model.name, " ", element("small", {}, model.family)), ...PANELS[model.panel](model), usage(model)));
  document.getElementById("models").replaceChildren(...panels, board(models));
  document.getElementById("contents").replaceChildren(...[...panels, document.getElementById("board")].map((panel) => element("a", { href: `#${panel.id}` }, panel.id)));
}

document.getElementById("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = document.getElementById("token").value;
  sessionStorage.setItem("token", token);
  open();
});
open();
