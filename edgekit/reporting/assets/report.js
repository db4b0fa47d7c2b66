"use strict";
// Draws the table, the filters and the pictures of a report from the data in this page. Everything that came from
// outside is put in as text, never as markup.
const payload = JSON.parse(document.getElementById("data").textContent);
const rows = payload.rows.map((values, id) => {
  const row = Object.fromEntries(payload.columns.map((name, index) => [name, values[index]]));
  return Object.assign(row, { id, missing: payload.missing[row.missing] });
});
const PAGE = 200;
const state = { query: "", only: {}, front: false, sort: null, down: false, shown: PAGE, open: new Set(), chosen: null, profile: null };
const views = {};

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A text whose commands stand between backticks.
const sentence = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", { textContent: part }) : part));

// ---- figures ------------------------------------------------------------------------------------------------------
const number = (value, digits) =>
  value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
// As edgekit.util.formatting.percent: twelve digits, then halves away from zero.
const percent = (value, digits = 1) => number(Number((100 * value).toPrecision(12)), digits);
const times = rows.map((row) => row.median_ms).filter((value) => value > 0);
const msDigits = Math.min(4, Math.max(1, 2 - Math.floor(Math.log10(times.reduce((a, b) => Math.min(a, b), 100)))));
const ms = (value) => number(value, msDigits);
const mega = (digits) => (value) => number(value / 1e6, digits);
const or = (row, field, show) => {
  if (row[field] !== null) return show(row[field]);
  return element("abbr", { title: row.missing[field] || "not known", textContent: "–" });
};
// A long name may go on in the next line where a person would break it.
const breakable = (text) => element("span", {}, ...text.split(/(?<=[_./])/).flatMap((part, i) => (i ? [element("wbr"), part] : [part])));
const small = (text) => (text ? element("small", { textContent: text }) : null);
const range = (pair, show) => (pair ? (pair[0] === pair[1] ? "no spread" : `${show(pair[0])}–${show(pair[1])}`) : null);
const strong = (bold, shown) => (bold && typeof shown === "string" ? element("b", { textContent: shown }) : shown);
const badge = (kind, text, title) => element("span", { className: `badge ${kind.replace(" ", "-")}`, textContent: text, title });
const ranBy = (row) => [[row.runtime, row.runtime_version].filter(Boolean).join(" "), row.way].filter(Boolean).join(", ");
const MARKS = { valid: "✓ valid", suspect: "! suspect", invalid: "✕ invalid" };

function precision(row) {
  if (!row.precision) return or(row, "precision", String);
  return element("span", {}, element("span", { className: `dot ${row.precision}` }), row.precision);
}

const under = (row) => [row.threads === null ? null : `${row.threads} thread${row.threads === 1 ? "" : "s"}`,
  row.batch === null ? null : `batch ${row.batch}`].filter(Boolean).join(", ");

// Columns: field to sort by, two lines of heading, and the cell as one or two lines. What one asks first stands first.
const COLUMNS = [
  ["variant", "Network", "variant", (row) => [breakable(row.variant), row.weights && element("small", {}, breakable(row.weights))]],
  ["precision", "Precision", "", (row) => [precision(row)]],
  ["runtime", "Format", "runtime", (row) => [row.format, small(ranBy(row))]],
  ["place", "Device", "", (row) => [or(row, "place", String), small(constant("threads") && constant("batch") ? "" : under(row))]],
  ["median_ms", "Latency", "median, ms", (row) => [strong(row.on.latency, or(row, "median_ms", ms)), small(range(row.ci95_ms, ms))], true],
  ["top1", "Top-1", "%", (row) => [or(row, "top1", percent), small(range(row.top1_ci95, percent))], true],
  ["verdict", "Verdict", "", (row) => [badge(row.verdict, MARKS[row.verdict] || row.verdict, row.reasons.join("; "))]],
  ["bytes", "File", "MB", (row) => [or(row, "bytes", mega(2))], true],
  ["peak_memory_bytes", "Memory", "peak, MB", (row) => [or(row, "peak_memory_bytes", mega(1)),
    small(row.baseline_memory_bytes === null ? null : `${mega(1)(row.baseline_memory_bytes)} without`)], true],
  ["macs", "MACs", "millions", (row) => [strong(row.on.macs, or(row, "macs", mega(2)))], true],
  ["params", "Params", "millions", (row) => [or(row, "params", mega(3))], true],
  ["top5", "Top-5", "%", (row) => [or(row, "top5", percent), small(range(row.top5_ci95, percent))], true],
  ["images", "Images", "evaluated", (row) => [or(row, "images", (value) => number(value, 0))], true],
  ["p90_ms", "p90", "ms", (row) => [or(row, "p90_ms", ms)], true],
  ["first_ms", "First", "ms", (row) => [or(row, "first_ms", ms),
    small(row.load_ms === null ? null : `${number(row.load_ms, 1)} load`)], true],
  ["ideal_memory_bytes", "Least", "memory, MB", (row) => [or(row, "ideal_memory_bytes", mega(1)),
    small(row.arena_memory_bytes === null ? null : `${mega(1)(row.arena_memory_bytes)} arena`)], true],
  ["parity", "Parity", "", (row) => [or(row, "parity", (ok) => badge(ok ? "passed" : "failed", ok ? "passed" : "failed",
    row.parity_error === null ? "" : `largest absolute error ${row.parity_error.toPrecision(2)}`))]],
].map(([field, title, unit, cell, numeric = false]) => ({ field, title, unit, cell, numeric }));

// What is the same in every row, or known of none, is said once above the table. How each is said:
const SAME = { place: (row) => `device ${row.place}`, images: (row) => `${number(row.images, 0)} images`,
  verdict: (row) => `verdict ${row.verdict}`, parity: (row) => `parity ${row.parity ? "passed" : "failed"}`,
  macs: (row) => `${mega(2)(row.macs)} million MACs`, params: (row) => `${mega(3)(row.params)} million parameters`,
  top5: (row) => `top-5 ${percent(row.top5)} %`, ideal_memory_bytes: (row) => `least memory ${mega(1)(row.ideal_memory_bytes)} MB` };
const WORDS = { place: "device", images: "images", macs: "MACs", params: "parameters", top5: "top-5", parity: "parity",
  ideal_memory_bytes: "least memory" };
const constant = (field) => new Set(rows.map((row) => row[field])).size === 1;
const isSaidOnce = (field) => field in SAME && constant(field) &&
  (field !== "place" || (constant("threads") && constant("batch"))) && (field !== "verdict" || rows[0].verdict === "valid");
const columns = COLUMNS.filter(({ field }) => !isSaidOnce(field));

// ---- choosing rows ------------------------------------------------------------------------------------------------
const FILTERS = [["model", "Network"], ["precision", "Precision"], ["format", "Format"], ["runtime", "Runtime"],
  ["way", "Provider or delegate"], ["place", "Device"], ["threads", "Threads"], ["batch", "Batch"], ["verdict", "Verdict"]];
const text = (row) => [row.label, row.weights, row.place, row.way, row.artifact, row.sha256].join(" ").toLowerCase();

function matches(row) {
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  return Object.entries(state.only).every(([field, value]) => String(row[field]) === value) &&
    words.every((word) => text(row).includes(word));
}

// The ids that nothing beats: as edgekit.stats.pareto.front, on [id, cost, accuracy].
function front(points) {
  const kept = new Set();
  let best = -Infinity;
  let last = null;
  for (const point of [...points].sort((a, b) => a[1] - b[1] || b[2] - a[2])) {
    const equal = last !== null && point[1] === last[1] && point[2] === last[2];
    if (point[2] > best || equal) {
      kept.add(point[0]);
      best = point[2];
      last = point;
    }
  }
  return kept;
}

// As edgekit.reporting.rows.has_latency: null measures the harness, and is ranked with no file.
const hasLatency = (row) => row.median_ms !== null && row.verdict !== "invalid" && row.runtime !== "null";

function markFronts(chosen) {
  const counted = chosen.filter((row) => row.top1 !== null && row.macs !== null);
  const cheap = front(counted.map((row) => [row.id, row.macs, row.top1]));
  const fast = new Set();
  const timed = chosen.filter((row) => row.top1 !== null && hasLatency(row));
  for (const conditions of new Set(timed.map((row) => row.conditions))) {
    const group = timed.filter((row) => row.conditions === conditions);
    front(group.map((row) => [row.id, row.median_ms, row.top1])).forEach((id) => fast.add(id));
  }
  const weighed = chosen.filter((row) => row.top1 !== null && row.params !== null);
  const small = front(weighed.map((row) => [row.id, row.params, row.top1]));
  for (const row of chosen) row.on = { macs: cheap.has(row.id), params: small.has(row.id), latency: fast.has(row.id) };
}

function choose() {
  const chosen = rows.filter(matches);
  markFronts(chosen);
  const kept = state.front ? chosen.filter((row) => row.on.macs || row.on.latency) : chosen;
  if (!state.sort) return kept;
  const sign = state.down ? -1 : 1;
  const known = (row) => row[state.sort] !== null;
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return [...kept].sort((a, b) => known(b) - known(a) || (known(a) ? sign * order(a[state.sort], b[state.sort]) : 0));
}

// ---- filters ------------------------------------------------------------------------------------------------------
function drawFilters() {
  const bar = document.getElementById("filters");
  bar.hidden = rows.length < 2; // of one row nothing can be left out
  const search = element("input", { type: "search", id: "query", value: state.query, placeholder: "name, weights, sha256 …" });
  search.addEventListener("input", () => update({ query: search.value }));
  bar.append(element("label", {}, "Search", search));
  for (const [field, title] of FILTERS) {
    const values = [...new Set(rows.map((row) => row[field]))].filter((value) => value !== null);
    if (values.length < 2) continue;
    const options = values.sort((a, b) => String(a).localeCompare(String(b), "en", { numeric: true })).map(String);
    const select = element("select", { id: `only-${field}` }, element("option", { value: "", textContent: "all" }),
      ...options.map((value) => element("option", { value, textContent: value })));
    select.value = state.only[field] ?? "";
    select.addEventListener("change", () => {
      const only = { ...state.only, [field]: select.value };
      if (!select.value) delete only[field];
      update({ only });
    });
    bar.append(element("label", {}, title, select));
  }
  const tick = element("input", { type: "checkbox", id: "front", checked: state.front });
  tick.addEventListener("change", () => update({ front: tick.checked }));
  bar.append(element("label", { className: "tick" }, tick, "Pareto front only"), element("label", { className: "sort" }, "Sort", sorter()));
}

// On a phone, where rows are cards without a heading.
function sorter() {
  const orders = [["", "network"], ["median_ms", "quickest"], ["-top1", "most accurate"], ["bytes", "smallest"]];
  const select = element("select", { id: "sort" }, ...orders.map(([value, textContent]) => element("option", { value, textContent })));
  select.value = `${state.down ? "-" : ""}${state.sort || ""}`;
  select.addEventListener("change", () => update({ sort: select.value.replace(/^-/, "") || null, down: select.value.startsWith("-") }));
  return select;
}

function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [field] of FILTERS) if (told.has(field)) state.only[field] = told.get(field);
  const sort = told.get("sort") || "";
  const field = sort.replace(/^-/, "");
  if (COLUMNS.some((column) => column.field === field)) Object.assign(state, { sort: field, down: sort.startsWith("-") });
  Object.assign(state, { query: told.get("query") || "", front: told.has("front") });
}

function writeAddress() {
  const told = new URLSearchParams(state.only);
  if (state.query) told.set("query", state.query);
  if (state.front) told.set("front", "");
  if (state.sort) told.set("sort", (state.down ? "-" : "") + state.sort);
  history.replaceState(null, "", `#${told}`);
}

// ---- table --------------------------------------------------------------------------------------------------------
function drawHead() {
  const cells = columns.map(({ field, title, unit, numeric }) => {
    const button = element("button", { type: "button" }, element("b", { textContent: title }), unit || "\u00a0");
    button.addEventListener("click", () => {
      const again = state.sort === field;
      update(again && state.down ? { sort: null, down: false } : { sort: field, down: again });
    });
    const head = element("th", { scope: "col", className: numeric ? "number" : "" }, button);
    head.dataset.field = field;
    return head;
  });
  document.querySelector("#table thead").replaceChildren(element("tr", {}, ...cells));
  const once = Object.keys(SAME).filter(isSaidOnce);
  const told = once.filter((field) => rows[0][field] !== null).map((field) => SAME[field](rows[0]));
  if (once.includes("place") && rows[0].place !== null) told.splice(1, 0, under(rows[0]));
  const unknown = once.filter((field) => rows[0][field] === null)
    .map((field) => `${WORDS[field]} (${rows[0].missing[field] || "not recorded"})`);
  const same = [told.length ? `${rows.length > 1 ? "In every row" : "Of this row"}: ${told.join(", ")}.` : "",
    unknown.length ? `Not known: ${unknown.join(", ")}.` : ""].join(" ").trim();
  document.getElementById("same").replaceChildren(...sentence(same));
}

function drawRow(row) {
  const open = state.open.has(row.id);
  const cells = columns.map(({ field, title, unit, cell, numeric }) => {
    const lines = cell(row);
    if (field !== "variant") {
      const made = element("td", { className: numeric ? "number" : "" }, ...lines);
      Object.assign(made.dataset, { field, title: numeric && unit ? `${title}, ${unit}` : title });
      return made;
    }
    const button = element("button", { type: "button", title: "Where this row comes from" }, lines[0]);
    button.setAttribute("aria-expanded", open);
    button.addEventListener("click", () => {
      if (!state.open.delete(row.id)) state.open.add(row.id);
      update({});
    });
    return element("th", { scope: "row" }, button, lines[1]);
  });
  const line = element("tr", { id: `row-${row.id}`, className: row.id === state.chosen ? "row chosen" : "row" }, ...cells);
  return open ? [line, drawProvenance(row)] : [line];
}

function drawProvenance(row) {
  const [layout, ...places] = payload.provenance[row.id];
  const sections = new Map();
  payload.layouts[layout].forEach(([section, label], index) => {
    if (!sections.has(section)) sections.set(section, element("dl"));
    const value = payload.values[places[index]];
    sections.get(section).append(element("dt", { textContent: label }), element("dd", { textContent: value }));
  });
  const blocks = [...sections].map(([title, list]) => element("div", {}, element("h3", { textContent: title }), list));
  const cell = element("td", { colSpan: columns.length }, element("div", { className: "sections" }, ...blocks));
  return element("tr", { className: "provenance" }, cell);
}

function drawTable(chosen) {
  const shown = chosen.slice(0, state.shown);
  document.querySelector("#table tbody").replaceChildren(...shown.flatMap(drawRow));
  for (const head of document.querySelectorAll("#table thead th")) {
    if (head.dataset.field === state.sort) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const count = document.getElementById("count");
  const all = `${number(rows.length, 0)} ${rows.length === 1 ? "row" : "rows"}`;
  count.textContent = chosen.length === rows.length ? all : `${number(chosen.length, 0)} of ${all}`;
  const more = document.getElementById("more");
  more.replaceChildren();
  if (chosen.length > shown.length) {
    const button = element("button", { type: "button", textContent: `Show ${Math.min(PAGE, chosen.length - shown.length)} more` });
    button.addEventListener("click", () => update({ shown: state.shown + PAGE }));
    more.append(`${number(shown.length, 0)} of ${number(chosen.length, 0)} rows are shown. `, button);
  }
}

// ---- the few figures above ----------------------------------------------------------------------------------------
const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

function tile(title, figure, about) {
  return element("div", { className: "tile" }, element("h3", { textContent: title }),
    element("strong", { textContent: figure }), element("span", { textContent: about }));
}

function best(chosen, field, sign, sound = () => true) {
  const known = chosen.filter((row) => row[field] !== null && sound(row));
  return known.reduce((a, b) => (a === null || sign * b[field] < sign * a[field] ? b : a), null);
}

function drawTiles(chosen) {
  const tiles = [];
  const fast = best(chosen, "median_ms", 1, hasLatency);
  if (fast) tiles.push(tile("Fastest", `${ms(fast.median_ms)} ms`, fast.label));
  const sure = best(chosen, "top1", -1);
  if (sure) tiles.push(tile("Most accurate", `${percent(sure.top1)} %`, `${sure.label}, n = ${number(sure.images, 0)}`));
  const light = best(chosen, "bytes", 1);
  if (light) tiles.push(tile("Smallest file", `${mega(2)(light.bytes)} MB`, light.label));
  const pairs = int8Pairs(chosen);
  if (pairs.length) {
    const alike = ([a, b]) => a.top1 !== null && b.top1 !== null && a.dataset_hash === b.dataset_hash;
    const drops = pairs.filter(alike).map(([a, b]) => b.top1 - a.top1);
    const about = drops.length ? `top-1 ${median(drops) >= 0 ? "+" : "−"}${percent(Math.abs(median(drops)))} points; ` : "";
    tiles.push(tile("int8 over fp32", `${number(median(pairs.map(([a, b]) => a.median_ms / b.median_ms)), 2)} × the speed`,
      `${about}median of ${pairs.length} ${pairs.length === 1 ? "pair" : "pairs"}`));
  }
  document.getElementById("tiles").replaceChildren(...(chosen.length > 1 ? tiles : []));
}

function int8Pairs(chosen) {
  const sound = chosen.filter(hasLatency);
  const key = (row) => JSON.stringify([row.variant, row.weights, row.runtime, row.setting]);
  const float = new Map(sound.filter((row) => row.precision === "fp32").map((row) => [key(row), row]));
  return sound.filter((row) => row.precision === "int8" && float.has(key(row))).map((row) => [float.get(key(row)), row]);
}

// ---- pictures -----------------------------------------------------------------------------------------------------
function points(chosen, cost) {
  const seen = new Set();
  const usable = (row) => (cost !== "latency" ? row[cost] !== null && !seen.has(row.sha256) && seen.add(row.sha256) :
    hasLatency(row));
  return chosen.filter((row) => row.top1 !== null && usable(row)).map((row) => ({
    id: row.id, label: row.label, variant: row.variant, short: row.short, precision: row.precision || "unknown",
    format: row.format, runtime: [row.runtime, row.runtime_version].filter(Boolean).join(" ") || null, setting: row.setting,
    conditions: row.conditions,
    macs_millions: row.macs === null ? null : row.macs / 1e6,
    params_millions: row.params === null ? null : row.params / 1e6, median_ms: row.median_ms, accuracy: 100 * row.top1,
    low: 100 * row.top1_ci95[0], high: 100 * row.top1_ci95[1], images: row.images, verdict: row.verdict,
    weights: row.weights, sha256: row.sha256.slice(0, 12), created: row.created, front: row.on[cost],
  }));
}

function strips(chosen) {
  const names = ["least", "q10", "q25", "q50", "q75", "q90", "q99", "most"];
  const timed = chosen.filter((row) => row.quantiles_ms).sort((a, b) => a.median_ms - b.median_ms);
  document.getElementById("strips-note").textContent = timed.length <= payload.max_strips ? "" :
    ` The ${payload.max_strips} fastest of ${number(timed.length, 0)} rows; filter to see others.`;
  return timed.slice(0, payload.max_strips).map((row) => ({
    label: row.label, precision: row.precision || "unknown", samples: row.samples, processes: row.processes,
    verdict: row.verdict, setting: row.setting, ...Object.fromEntries(names.map((name, i) => [name, row.quantiles_ms[i]])),
  }));
}

// ---- profiles -----------------------------------------------------------------------------------------------------
const shownProfiles = (chosen) => {
  const ids = new Set(chosen.map((row) => row.id));
  return payload.profiles.filter((profile) => ids.has(profile.id));
};

function profilePictures(chosen) {
  const known = shownProfiles(chosen);
  const section = document.getElementById("profiles");
  section.hidden = !known.length;
  if (!known.length) return {};
  const current = known.find((profile) => profile.id === state.profile) || known[0];
  const pick = document.getElementById("profile");
  pick.replaceChildren(...known.map(({ id }) => element("option", { value: id, textContent: rows[id].label })));
  pick.value = current.id;
  pick.onchange = () => profile(Number(pick.value));
  document.querySelector("#reached tbody").replaceChildren(...known.map((one) => reached(one, one === current)));
  document.getElementById("profile-note").textContent = told(current);
  return current.datasets;
}

function reached(one, current) {
  const button = element("button", { type: "button", textContent: rows[one.id].label });
  button.addEventListener("click", () => profile(one.id));
  const slowest = one.heaviest.map(([name, share]) => `${name} ${percent(share)} %`).join(", ");
  const figure = (value, show) => (value === null ? "–" : show(value));
  return element("tr", { className: current ? "row chosen" : "row" }, element("th", { scope: "row" }, button),
    element("td", { className: "number", textContent: figure(one.gmacs_per_s, (value) => number(value, 1)) }),
    element("td", { className: "number", textContent: figure(one.peak_share, (value) => `${percent(value)} %`) }),
    element("td", { textContent: slowest }));
}

function told({ method, reasons, peaks, sum_ms, profiled_ms, plain_ms }) {
  const roofs = peaks && [["float32", "GMAC/s", "gemm_float32_gmacs", "gemm_float32_by"], ["int8", "GMAC/s", "gemm_int8_gmacs",
    "gemm_int8_by"], ["copy", "GB/s", "copy_gbytes", "copy_by"]].filter(([, , value]) => peaks[value] !== null)
    .map(([name, unit, value, by]) => `${name} ${number(peaks[value], 1)} ${unit} (${peaks[by]})`).join("; ");
  const remarks = reasons.map((reason) => `${reason[0].toUpperCase()}${reason.slice(1)}. `).join("");
  return `${remarks}The operators sum to ${ms(sum_ms)} ms; the inference took ${ms(profiled_ms)} ms with the profiler and ${ms(plain_ms)} ms ` +
    `without it in the same process. ${method}.${peaks ? ` Peaks with ${peaks.threads} thread${peaks.threads === 1 ? "" : "s"}: ${roofs}.` : ""}`;
}

function profile(id) {
  state.profile = id;
  drawing = drawing.then(() => drawPictures(choose(), ["layers", "roofline"]));
}

// ---- sustained load -----------------------------------------------------------------------------------------------
function lastingPicture(chosen) {
  const ids = new Set(chosen.map((row) => row.id));
  const known = payload.sustained.filter((one) => ids.has(one.id));
  document.getElementById("lasting").hidden = !known.length;
  if (!known.length) return {};
  document.querySelector("#ends tbody").replaceChildren(...known.map(bothEnds));
  return { sustained: { curves: known.flatMap((one) => one.curve) } };
}

function bothEnds(one) {
  const cell = (textContent) => element("td", { className: "number", textContent });
  const fact = (name, digits) => {
    const { first, last } = one.facts[name];
    return cell(first === null || last === null ? "–" : `${number(first, digits)} → ${number(last, digits)}`);
  };
  const settled = one.settled_s === null ? "not settled" : `${number(one.settled_s / 60, 1)} min`;
  const ratio = element("td", { className: "number" }, number(one.ratio, 3), small(range(one.ratio_ci95, (value) => number(value, 3))));
  return element("tr", { className: "row" }, element("th", { scope: "row", textContent: rows[one.id].label }),
    cell(ms(one.first_ms)), cell(ms(one.last_ms)), ratio, element("td", { textContent: settled }),
    fact("celsius", 1), fact("mhz", 0), fact("foreign_processors", 2));
}

function datasets(chosen) {
  const published = (field) => {
    const values = new Set(chosen.map((row) => row[field]));
    return payload.published.filter((point) => values.has(point[field]));
  };
  return {
    latency: { points: points(chosen, "latency"), published: published("id") },
    macs: { points: points(chosen, "macs"), published: published("variant") },
    params: { points: points(chosen, "params"), published: published("variant") },
    strips: { strips: strips(chosen) },
    ...lastingPicture(chosen),
    ...profilePictures(chosen),
  };
}

const COSTS = { latency: ["median_ms", "latency"], macs: ["macs_millions", "MACs"], params: ["params_millions", "number of parameters"] };
const TITLES = { latency: "Accuracy over latency", macs: "Accuracy over arithmetic", params: "Accuracy over parameters",
  strips: "How much the latency varied" };
const EMPTY = { latency: "no row has both an accuracy and a latency that is not invalid.", macs: "no row has both MACs and an accuracy.",
  params: "no row has both parameters and an accuracy.", strips: "no row has a latency.",
  sustained: "No row that is shown was under sustained load.", layers: "No row that is shown was profiled.", roofline: "No layer has both multiply-accumulates and a time." };
let drawing = Promise.resolve();

// Why a picture would show nothing: it has no data, or its points lie on one vertical line. Null where it is drawn.
function whyNot(name, data) {
  if (!data.length) return EMPTY[name];
  if (!(name in COSTS)) return null;
  const [field, word] = COSTS[name];
  if (data.length === 1) return `only one ${name === "latency" ? "row" : "file"} has both.`;
  return new Set(data.map((point) => point[field])).size > 1 ? null : `all files have the same ${word}.`;
}

// Of names that would lie over one another, the first stays.
function keepApart(place) {
  const kept = [];
  for (const text of place.querySelectorAll(".mark-text.role-mark text")) {
    const box = text.getBoundingClientRect();
    const isFree = kept.every((other) => box.right < other.left || other.right < box.left || box.bottom < other.top || other.bottom < box.top);
    text.style.visibility = isFree ? "" : "hidden";
    if (isFree) kept.push(box);
  }
}

const NARROW = 480;
// On a phone the names of rows stand above their strips or bars: beside them they would take the picture's place.
function namesAbove(spec) {
  const { y } = spec.encoding;
  const axis = { ...y.axis, labelAlign: "left", labelBaseline: "bottom", labelPadding: 0, labelOffset: -9, ticks: false,
    labelLimit: { signal: "width" } };
  return { ...spec, height: { step: 34 }, encoding: { ...spec.encoding, y: { ...y, axis } } };
}

const undrawn = new Map();

async function drawPictures(chosen, only = null) {
  for (const [name, data] of Object.entries(datasets(chosen))) {
    if (only && !only.includes(name)) continue;
    const place = document.getElementById(name);
    const main = Object.keys(data)[0];
    if (views[name]) views[name].finalize();
    delete views[name];
    const reason = whyNot(name, data[main]);
    place.closest("figure").hidden = reason !== null;
    undrawn.set(name, reason && name in TITLES ? `${TITLES[name]} is not drawn: ${reason}` : null);
    if (reason !== null) continue;
    const isNarrow = place.clientWidth < NARROW;
    const drawn = payload.pictures[name];
    const spec = { ...(isNarrow && drawn.height.step ? namesAbove(drawn) : drawn), datasets: data, config: payload.config };
    // A layer with data of its own (published points, roofs) is left out where there are none.
    if (spec.layer) spec.layer = spec.layer.filter((layer) => !layer.data || data[layer.data.name].length);
    if (spec.height.step) spec.height = spec.height.step * data[main].length;
    const embedded = await vegaEmbed(place, spec, { actions: false, ast: true, renderer: "svg" });
    views[name] = embedded;
    keepApart(place);
    embedded.view.addResizeListener(() => requestAnimationFrame(() => keepApart(place)));
    embedded.view.addEventListener("click", (_, item) => item && item.datum && select(item.datum.id));
  }
  document.getElementById("undrawn").textContent = [...undrawn.values()].filter(Boolean).join(" ");
  document.body.dataset.drawn = "yes";
}

function select(id) {
  if (id === undefined) return;
  state.open.add(id);
  const place = choose().findIndex((row) => row.id === id);
  update({ chosen: id, shown: Math.max(state.shown, place + 1) });
  document.getElementById(`row-${id}`)?.scrollIntoView({ block: "center", behavior: "smooth" });
}

// ---- the way through ----------------------------------------------------------------------------------------------
let before = null;

function update(change) {
  Object.assign(state, change);
  writeAddress();
  const chosen = choose();
  drawTable(chosen);
  const set = chosen.map((row) => row.id).sort((a, b) => a - b).join();
  if (set === before) return;
  before = set;
  drawTiles(chosen);
  const files = new Set(chosen.map((row) => row.sha256));
  for (const line of document.querySelectorAll("#devices tr[data-sha]")) line.hidden = !files.has(line.dataset.sha);
  drawing = drawing.then(() => drawPictures(chosen));
}

document.querySelector("main").hidden = !rows.length; // of failures alone the head tells everything
readAddress();
drawFilters();
drawHead();
update({});
