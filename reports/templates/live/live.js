// Asks for the figures every two seconds and writes them as text: nothing from a deployment becomes HTML.
"use strict";

const EVERY_MS = 2000;
const TIMEOUT_MS = 5000;
const FRESH_S = 5; // figures are made every second
const UNKNOWN = "–";
const STATES = {
  up: ["●", "good"], consuming: ["●", "good"], unchecked: ["○", "doubt"], down: ["✕", "bad"], gone: ["✕", "bad"],
  drain: ["▽", "doubt"], maintenance: ["■", "doubt"], differs: ["◑", "doubt"], unknown: ["?", "doubt"],
};
const OUTCOMES = { PASS: ["✓", "good"], FAIL: ["✗", "bad"], INCONCLUSIVE: ["?", "doubt"], "NOT RUN": ["–", ""] };

let shown = null; // the newest figures, and when they came
let received_ms = 0;
let age_s = 0;
let served_ns = 0;
let failure = "no answer yet";

// What hides or reorders other text is shown as its number.
const UNSHOWN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const visible = (text) => text.replace(UNSHOWN, (sign) => `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);

const of = (id) => document.getElementById(id);

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const each of [content].flat()) {
    if (each !== null && each !== "") made.append(typeof each === "string" ? visible(each) : each);
  }
  return made;
}

const percent = (share) => (share === null ? UNKNOWN : `${(100 * share).toFixed(1)} %`);
const count = (number) => (number === null ? UNKNOWN : Math.round(number).toLocaleString("en"));
const seconds = (s) => (s === null ? UNKNOWN : s < 1 ? `${(1000 * s).toFixed(s < 0.01 ? 1 : 0)} ms` : `${s.toFixed(2)} s`);
const clock = (ns) => new Date(ns / 1e6).toLocaleTimeString("en-GB");

function span(s) {
  if (s < 90) return `${Math.max(0, Math.round(s))} s`;
  return s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

function state(word, status) {
  const [sign, kind] = STATES[word] || STATES.unknown;
  const more = status && status.toLowerCase() !== word ? element("small", ` ${status}`) : null;
  const long = status && status.length > 14 ? " long" : "";
  return element("td", [element("b", `${sign} ${word}`, { class: kind }), more], { class: `state${long}` });
}

function bar(share, predicted) {
  const made = element("div", [], { class: "bar", "aria-hidden": "true" });
  if (share !== null) {
    const fill = element("i", "");
    fill.style.width = `${100 * share}%`;
    made.append(fill);
  }
  if (predicted !== null) {
    const mark = element("u", "");
    mark.style.left = `${100 * predicted}%`;
    made.append(mark);
  }
  return element("td", made, { class: "wide" });
}

const cell = (label, text) => element("td", text, { "data-label": label });

function table(headings, rows) {
  const head = headings.map(([text, kind]) => element("th", text, { class: kind, scope: "col" }));
  return element("table", [element("thead", element("tr", head)), element("tbody", rows)]);
}

const row = (name, cells) => element("tr", [element("th", name, { scope: "row" }), ...cells]);

function groups(rows, key) {
  const found = new Map();
  for (const each of rows) found.set(each[key], [...(found.get(each[key]) || []), each]);
  return found;
}

function backends(figures) {
  const parts = [];
  for (const [section, servers] of groups(figures.backends, "section")) {
    parts.push(element("h3", section));
    const by = figures.predicted_by[section];
    if (by) parts.push(element("p", `Predicted by: ${by}.`, { class: "note" }));
    const headings = [["server", ""], ["state", "state"], ["share", "wide"], ["share", ""], ["predicted", ""],
      ["new", ""], ["open", ""], ["queued", ""]];
    parts.push(table(headings, servers.map((each) => row(each.name, [
      state(each.state, each.status), bar(each.share, each.predicted), cell("share", percent(each.share)),
      cell("predicted", percent(each.predicted)), cell("new", count(each.connections)),
      cell("open", count(each.sessions)), cell("queued", count(each.queued)),
    ]))));
  }
  return parts.length ? parts : element("p", "No proxy has shown its servers.", { class: "note" });
}

function engines(figures) {
  const parts = [];
  for (const [topic, rows] of groups(figures.engines, "topic")) {
    parts.push(element("h3", topic));
    const headings = [["engine", ""], ["state", "state"], ["share", "wide"], ["share", ""], ["predicted", ""],
      ["deliveries", ""]];
    parts.push(table(headings, rows.map((each) => row(each.name, [
      state(each.state, ""), bar(each.share, each.predicted), cell("share", percent(each.share)),
      cell("predicted", percent(each.predicted)), cell("deliveries", count(each.deliveries)),
    ]))));
  }
  return parts.length ? parts : element("p", "No broker has shown its consumers.", { class: "note" });
}

function numbers(figures) {
  const pairs = [["stacks in progress", figures.stacks === null ? "no load" : count(figures.stacks)]];
  for (const queue of figures.queues) {
    pairs.push([`${queue.name}: waiting`, count(queue.ready)]);
    pairs.push([`${queue.name}: at work`, count(queue.unacknowledged)]);
    pairs.push([`${queue.name}: consumers`, count(queue.consumers)]);
  }
  return pairs.map(([name, value]) => element("div", [element("dt", name), element("dd", value)]));
}

function generator(figures) {
  if (!figures.generator.length) return element("p", "No load is generated here.", { class: "note" });
  const headings = [["process", ""], ["state", "state"], ["core", ""], ["lag p99", ""], ["users", ""],
    ["requests/s", ""], ["p99", ""], ["dropped", ""]];
  return table(headings, figures.generator.map((each) => {
    const quiet_s = (figures.at_ns - each.at_ns) / 1e9;
    let health = element("td", element("b", "● keeps pace", { class: "good" }), { class: "state long" });
    if (each.limits || each.limited) {
      const why = each.limits || `limited what was measured for ${each.limited} s of the last minute`;
      const word = each.limits ? "✕ limits what is measured" : "○ keeps pace now;";
      const name = element("b", word, { class: each.limits ? "bad" : "doubt" });
      health = element("td", [name, element("small", ` ${why}`)], { class: "state long" });
    }
    if (quiet_s > 5) {
      const word = element("b", `? silent for ${span(quiet_s)}`, { class: "doubt" });
      health = element("td", word, { class: "state long" });
    }
    return row(each.worker, [
      health, cell("core", percent(each.cpu_share)), cell("lag p99", seconds(each.lag_p99_s)),
      cell("users", count(each.users)), cell("requests/s", count(each.requests_per_s)),
      cell("p99", seconds(each.response_p99_s)), cell("dropped", count(each.dropped)),
    ]);
  }));
}

function faults(figures) {
  if (!figures.faults.length) return element("li", "No fault was injected while this was watched.", { class: "note" });
  return figures.faults.map((each, place) => {
    const ended = each.ended_ns
      ? `${clock(each.begun_ns)} to ${clock(each.ended_ns)}, ${span((each.ended_ns - each.begun_ns) / 1e9)}`
      : `in force since ${clock(each.begun_ns)}, ${span((figures.at_ns - each.begun_ns) / 1e9)}`;
    const word = each.ended_ns ? "healed" : "✕ open";
    const kind = each.ended_ns ? "" : "bad";
    return element("li", [element("b", `${place + 1} ${each.part}: ${each.fault}, `), element("b", word, { class: kind }), ` ${ended}`]);
  });
}

function gates(figures) {
  const newest = [...figures.gates].sort((one, other) => other.turned_ns - one.turned_ns);
  return newest.map((each) => {
    const [sign, kind] = OUTCOMES[each.outcome];
    const name = { class: `outcome ${kind} ${each.outcome.split(" ")[0]}` };
    const when = `${each.waived ? "waived; " : ""}${span((figures.at_ns - each.turned_ns) / 1e9)} ago`;
    return element("li", [
      element("span", `${sign} ${each.outcome}`, name), element("b", ` ${each.gate} `), `${each.heading} `,
      element("small", when), element("br", ""), element("small", each.why),
    ]);
  });
}

const behind_s = (figures, source) => (figures.at_ns - source.at_ns) / 1e9;
const silence = (figures, source) => source.at_ns > 0 && behind_s(figures, source) > Math.max(10, 3 * figures.every_s);

function sources(figures) {
  return figures.sources.map((each) => {
    const age = each.at_ns ? `answered ${span(behind_s(figures, each))} before these figures` : "";
    const good = !each.problem && !silence(figures, each);
    const word = element("b", good ? `● ${each.name}` : `✕ ${each.name}`, { class: good ? "good" : "bad" });
    return element("li", [word, ` ${[age, each.problem].filter(Boolean).join("; ")}`]);
  });
}

function draw(figures) {
  of("deployment").textContent = visible(figures.deployment);
  of("run").textContent = visible(figures.run);
  for (const each of document.querySelectorAll(".window")) each.textContent = `the last ${span(figures.window_s)}`;
  const parts = { backends, engines, queues: numbers, generator, faults, gates, sources };
  for (const [id, make] of Object.entries(parts)) of(id).replaceChildren(...[make(figures)].flat());
  of("gates-of").textContent = figures.gates.length ? visible(`Verdicts of ${figures.gates_of}, newest first.`)
    : "No gate has been judged while this was watched.";
  of("time").replaceChildren(timeLine(figures));
  of("figures").hidden = false;
}

// The time line: one panel below the other, faults as hatched bands across all of them

const SVG = "http://www.w3.org/2000/svg";
const PANEL = 58;
const GAP = 26;

function shape(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function timeLine(figures) {
  const line = figures.time_line;
  const width = Math.max(320, of("time").clientWidth || 320);
  const panels = [["requests/s", line.requests_per_s, count], ["response p99 of a second", line.response_p99_s, seconds],
    ["messages that wait", line.ready, count], ["stacks in progress", line.stacks, count]]
    .filter(([, values]) => values.some((value) => value !== null));
  const height = panels.length * (PANEL + GAP) + 22;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const last = line.t_ns[line.t_ns.length - 1];
  const first = Math.min(line.t_ns[0], last - 30e9);
  const x = (ns) => (width * (Math.min(Math.max(ns, first), last) - first)) / (last - first);
  svg.append(shape("title", {}, panels.map(([name, values, text]) => `${name}: ${text(values[values.length - 1])} now`).join("; ")));
  const hatch = shape("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  hatch.append(shape("line", { x1: 0, y1: 0, x2: 0, y2: 7, class: "hatch" }));
  svg.append(hatch);
  figures.faults.forEach((each, place) => {
    const end = each.ended_ns || last;
    if (end < first) return;
    const left = x(each.begun_ns);
    svg.append(shape("rect", { x: left, y: 16, width: Math.max(2, x(end) - left), height: height - 38, class: "band" }));
    svg.append(shape("text", { x: Math.min(left + 2, width - 10), y: 12, class: "number" }, `${place + 1}`));
  });
  panels.forEach(([name, values, text], place) => {
    const bottom = 20 + (place + 1) * (PANEL + GAP) - GAP / 2;
    const most = Math.max(...values.filter((value) => value !== null), 1e-9);
    const y = (value) => bottom - (PANEL * value) / most;
    svg.append(shape("line", { x1: 0, x2: width, y1: bottom, y2: bottom, class: "axis" }));
    const label = `${name}: ${text(values[values.length - 1])} (most ${text(most)})`;
    svg.append(shape("text", { x: 0, y: bottom - PANEL - 5 }, label));
    let path = "";
    values.forEach((value, at) => {
      if (value === null) return;
      const pen = at > 0 && values[at - 1] !== null ? "L" : "M";
      path += `${pen}${x(line.t_ns[at]).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    svg.append(shape("path", { d: path, class: "line" }));
    const now = values[values.length - 1];
    if (now !== null) svg.append(shape("circle", { cx: width - 3, cy: y(now), r: 3, class: "dot" }));
  });
  svg.append(shape("text", { x: 0, y: height - 4, class: "soft" }, clock(first)));
  svg.append(shape("text", { x: width, y: height - 4, "text-anchor": "end", class: "soft" }, clock(last)));
  return svg;
}

// The pulse: how old the figures are, and whether more will come

function pulse() {
  const now_s = age_s + (performance.now() - received_ms) / 1000;
  const old = shown !== null && !shown.over && now_s > FRESH_S;
  document.body.classList.toggle("old", old || (failure !== "" && shown !== null));
  document.body.classList.toggle("over", shown !== null && shown.over && failure === "");
  let word = "● live";
  const silent = shown === null || shown.over ? [] : shown.sources.filter((each) => silence(shown, each) || each.problem);
  if (silent.length) word = `● live, without news of: ${silent.map((each) => each.name).join(", ")}`;
  if (shown === null) word = `◌ no figures: ${failure || "no load has begun"}`;
  else if (failure) word = `✕ stopped: ${failure}. What is shown is old.`;
  else if (shown.over) word = "■ over: recording has ended; these are the last figures.";
  else if (old) word = "✕ stopped: no new figures come. What is shown is old.";
  word = visible(word);
  if (of("pulse-state").textContent !== word) of("pulse-state").textContent = word; // a screen reader speaks it
  of("pulse-age").textContent = shown === null ? "" : `figures of ${clock(shown.at_ns)}, ${span(now_s)} old`;
}

async function ask() {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const answer = await fetch("live.json", { cache: "no-store", signal: abort.signal });
    if (!answer.ok) throw new Error(`the page's server answers ${answer.status}`);
    const found = await answer.json();
    failure = found.problem || "";
    if (found.figures) {
      shown = found.figures;
      received_ms = performance.now();
      served_ns = found.served_ns;
      age_s = Math.max(0, (served_ns - shown.at_ns) / 1e9);
      draw(shown);
    }
  } catch (problem) {
    failure = problem instanceof SyntaxError ? "the answer cannot be read"
      : problem.message.startsWith("the page's") ? problem.message : "the page's server does not answer";
  } finally {
    clearTimeout(timer);
  }
  pulse();
}

async function keepAsking() {
  for (;;) {
    if (!document.hidden) await ask();
    await new Promise((done) => setTimeout(done, EVERY_MS));
  }
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
addEventListener("resize", () => { if (shown) of("time").replaceChildren(timeLine(shown)); });
setInterval(pulse, 1000);
keepAsking();
