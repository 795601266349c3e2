// The page: what is seen is a state, kept in the address; everything is drawn from it.

const FINE = 480; // pixels of a map's image along each axis
const SAME_SHEET = 0.25; // minima of neighbouring cells whose invariants differ by less can be one that moved
const LETTER = 12; // pixels: half of what a letter on the map covers
const SEEN = 120; // places along each axis of what is seen of a map, among which letters find room
const VETO = 20; // neurons' weights below minus this fall without end
const DEEPEST = 1e-4; // part of the map's width that can be seen at least
const ROUNDING = 1e-12; // losses that differ by less, in parts of them, are one
const LEAST = 1e-6; // height of a cut that shows at least so much, as log10
const DASHES = [[], [8, 3], [2, 3], [8, 3, 2, 3], [14, 4], [4, 2, 4, 8]];
const MET = ["triple point", "order changes", "critical point", "first crossing", "continuous crossing"]; // kinds of points
const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);
const names = facts.phases.map((phase) => phase.name);
const perSlice = facts.maps.length / facts.slices.length;
const theories = facts.maps.slice(0, perSlice).map((map) => map.theory);
const axes = facts.axes;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const simple = facts.phases.filter((phase) => phase.colour).map((phase) => phase.name);
const letterOf = (name) => { const k = simple.indexOf(name), row = Math.floor(k / 26); return LETTERS[k % 26] + (row || ""); };
const state = { map: theories[0], slice: 0, x: null, y: null, cut: "x", scale: "excess", differs: "", spinodals: "pointed", window: null };
const sources = {}; // of the plots, by plot and name
let pointed = null; // the phases under the pointer

// numbers as people read them
const short = (value, digits = 4) => String(Number(value.toPrecision(digits))).replace("-", "−");
const aboveOf = (loss, lowest) => { const above = loss / lowest - 1; return above <= ROUNDING ? 0 : above; };
const percent = (above) => (above === 0 ? "the lowest" : `${short(100 * above, 3)} % above`);

// ---- data

async function unpack() {
  const text = atob($("packed").textContent.trim()), packed = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) packed[k] = text.charCodeAt(k);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const kinds = { "<f8": Float64Array, "<i2": Int16Array, "<u4": Uint32Array, "|u1": Uint8Array };
  for (const { name, dtype, shape, at } of facts.arrays) {
    const array = new kinds[dtype](buffer, at, shape.reduce((a, b) => a * b, 1)), [map, key] = name.split(".");
    if (key) facts.maps[map][key] = array; else run(array);
  }
}

// run Bokeh's script
function run(bytes) {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(bytes);
  document.head.append(script);
}

const mapOf = (theory, slice = state.slice) => facts.maps[slice * perSlice + theories.indexOf(theory)];
const current = () => mapOf(state.map);
const coordinate = (axis, value) => (axes[axis].log ? Math.log(value) : value);
const valueOf = (axis, u) => (axes[axis].log ? Math.exp(u) : u);

function nearest(values, axis, value) {
  let best = 0, least = Infinity;
  const u = coordinate(axis, value);
  values.forEach((one, k) => { const d = Math.abs(coordinate(axis, one) - u); if (d < least) { least = d; best = k; } });
  return best;
}

function cellAt(map, x, y) {
  const column = nearest(map.x, 0, x), row = nearest(map.y, 1, y);
  return { column, row, cell: row * map.x.length + column, x: map.x[column], y: map.y[row] };
}

const chosen = () => cellAt(current(), state.x, state.y);
const PARTS = { trained: ["model", "Other models"], frozen: ["pattern", "Other patterns"] };
const [ONE, OTHERS] = [0, 1].map((k) => () => PARTS[state.map]?.[k] ?? ["minimum", "Metastable"][k]); // what a map's minima are
const upper = (word) => word[0].toUpperCase() + word.slice(1);
const pixel = (map, axis, value) => {
  const [low, high, u] = [...map.window[axis], value].map((one) => coordinate(axis, one));
  return Math.min(Math.max(Math.floor((FINE * (u - low)) / (high - low)), 0), FINE - 1);
};
const phasesUnder = (map, x, y) => names[map.image[pixel(map, 1, y) * FINE + pixel(map, 0, x)]].split(facts.tie);
const lettered = (phases) => phases.map((name) => `${letterOf(name)} ${name}`).join(" and ");
const phasesAt = (map, cell) => names[map.phase[cell]].split(facts.tie);

// the minima of a cell, lowest first: loss, phase, x (weights row by row, then biases)
function minimaAt(map, cell) {
  const size = (facts.n_rows + 1) * facts.n_features, found = [];
  for (let k = map.start[cell]; k < map.start[cell + 1]; k++) {
    const at = map.point[k] * size;
    found.push({ loss: map.minimum_loss[k], phase: names[map.minimum_phase[k]], x: map.points.subarray(at, at + size) });
  }
  return found;
}

const rowsOf = (x) => Array.from({ length: facts.n_rows }, (_, h) => Array.from(x.subarray(h * facts.n_features, (h + 1) * facts.n_features)));
const biasOf = (x) => Array.from(x.subarray(facts.n_rows * facts.n_features));
const dot = (rows, i, j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0);

function orderParameters(rows) {
  const n = facts.n_features, norm = [], interference = [];
  for (let i = 0; i < n; i++) {
    const length = Math.sqrt(dot(rows, i, i));
    let sum = 0;
    for (let j = 0; j < n; j++) if (j !== i && length > 0) sum += (dot(rows, i, j) / length) ** 2;
    norm.push(length);
    interference.push(sum);
  }
  return { norm, interference };
}

// numbers that rotations (or another order of neurons), and permutations within each class of features, leave as they are
function invariants(x) {
  const rows = rowsOf(x).map((row) => row.map((value) => Math.max(value, -VETO))), bias = biasOf(x), kept = [], sorted = (list) => kept.push(...list.sort((a, b) => a - b));
  facts.classes.forEach((members, k) => {
    sorted(members.map((i) => dot(rows, i, i)));
    sorted(members.map((i) => bias[i]));
    sorted(members.flatMap((i, at) => members.slice(at + 1).map((j) => dot(rows, i, j))));
    for (const others of facts.classes.slice(k + 1)) sorted(members.flatMap((i) => others.map((j) => dot(rows, i, j))));
  });
  return kept;
}

// ---- words

const describe = (at) => `${axes[0].name} ${short(at.x)}, ${axes[1].name} ${short(at.y)}`;

function summary(map, at) {
  const loss = map.loss[at.cell], others = new Map();
  const lowest = phasesAt(map, at.cell);
  for (const one of minimaAt(map, at.cell)) {
    if (!lowest.includes(one.phase) && !others.has(one.phase)) others.set(one.phase, aboveOf(one.loss, loss));
  }
  const first = minimaAt(map, at.cell)[0];
  const numbers = first ? (facts.neurons ? biasOf(first.x) : orderParameters(rowsOf(first.x)).norm) : [];
  const norm = `${facts.neurons ? "biases" : "norms"} by feature, the extra one last: ` + numbers.map((value) => short(Number(value.toFixed(5)), 3)).join(", ");
  const above = [...others].map(([name, excess]) => `${letterOf(name)} ${name}: ${percent(excess)}`);
  return { phase: lettered(lowest), loss: short(loss, 6), above, norm, converged: map.converged[at.cell] };
}

function sentence(map, at) {
  const { phase, loss, above, norm, converged } = summary(map, at);
  return `${describe(at)}: ${phase}; loss ${loss}${converged ? "" : " (not converged)"}; ${norm}. ` + (above.length ? `${OTHERS()}: ${above.join("; ")}.` : "No other phase has a minimum here.");
}

// ---- the map

function pixels(map) {
  const colour = facts.phases.map(({ name, colour: own }) => {
    const hex = own ?? facts.phases.find((phase) => phase.name === name.split(facts.tie)[0]).colour;
    const [r, g, b] = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  });
  return Uint32Array.from(map.image, (phase) => colour[phase]);
}

function drawMap() {
  const map = current(), at = sources.map, old = at.image.data.image[0];
  const [[left, right], [low, high]] = map.window;
  const image = new old.constructor(pixels(map), [FINE, FINE]);
  at.image.data = { image: [image], x: [left], y: [low], dw: [right - left], dh: [high - low] };
  at.border.data = borders(map);
  for (const order of ["first", "continuous"]) at[order].data = lines(map, (curve) => curve.kind === "boundary" && curve.order === order);
  for (const kind of MET) {
    const points = map.points_met.filter((point) => point.kind === kind);
    at[kind].data = { x: points.map((point) => point.x), y: points.map((point) => point.y) };
  }
  drawLetters();
  drawDiffers();
  drawSpinodals();
  const title = `Map of phases, ${state.map} ${state.map === "trained" ? "models" : "theory"}` + (facts.slices.length > 1 ? `, ${facts.slider} ${facts.slices[state.slice]}` : "");
  $("map-title").textContent = title;
  $("settings").replaceChildren(...map.settings.map(([name, value]) => row("th", name, value)));
  drawLegend(map);
  $("get-csv").disabled = !map.csv.length;
  $("get-csv").title = map.csv.length ? "" : `This map has no curves: ${state.map === "trained" ? "trained models are known in cells alone" : "none has been followed"}`;
  $("spinodals-row").hidden = !map.curves_of.some((curve) => curve.kind === "spinodal");
}

const hasBoundaries = (map) => map.curves_of.some((curve) => curve.kind === "boundary");

// where no boundary curves are known: the lines between pixels of different phases, from end to end
function borders(map) {
  const xs = [], ys = [], edges = map.window.map(([low, high], axis) => Array.from({ length: FINE + 1 }, (_, k) => valueOf(axis, coordinate(axis, low) + (k / FINE) * (coordinate(axis, high) - coordinate(axis, low)))));
  if (hasBoundaries(map)) return { xs, ys };
  for (const [across, along, step, stride] of [[0, 1, 1, FINE], [1, 0, FINE, 1]]) for (let line = 1; line < FINE; line++) {
    for (let k = 0, first = 0; k <= FINE; k++) {
      const at = line * step + k * stride;
      if (k < FINE && map.image[at] !== map.image[at - step]) continue;
      if (k > first) [xs, ys][across].push([edges[across][line], edges[across][line]]), [xs, ys][along].push([edges[along][first], edges[along][k]]);
      first = k + 1;
    }
  }
  return { xs, ys };
}

// the phases at the places of a grid over what is seen of a map, row by row from below
function seen(map) {
  const plot = sources.map.plot, places = [plot.x_range, plot.y_range].map((range, axis) => {
    const [start, end] = [range.start, range.end].map((value) => coordinate(axis, value));
    return Array.from({ length: SEEN }, (_, k) => valueOf(axis, start + ((k + 0.5) * (end - start)) / SEEN)).map((value) => [value, pixel(map, axis, value)]);
  });
  return { places, phases: places[1].flatMap(([, row]) => places[0].map(([, column]) => map.image[row * FINE + column])) };
}

// how many places each lies within the region of its phase that is seen
function depths(phases) {
  const depth = new Int16Array(phases.length);
  const pass = (order, back) => {
    for (const row of order) for (const column of order) {
      const k = row * SEEN + column, edge = row === 0 || column === 0 || row === SEEN - 1 || column === SEEN - 1;
      let around = edge ? 0 : SEEN;
      if (!edge) for (const step of [-1, -SEEN - 1, -SEEN, -SEEN + 1]) around = Math.min(around, phases[k + back * step] === phases[k] ? depth[k + back * step] : 0);
      depth[k] = back === 1 ? around + 1 : Math.min(depth[k], around + 1);
    }
  };
  const order = Array.from({ length: SEEN }, (_, k) => k);
  pass(order, 1);
  pass(order.toReversed(), -1);
  return depth;
}

// a letter deep within each region that is seen and has room for it
function drawLetters() {
  const { places, phases } = seen(current()), depth = depths(phases), plot = sources.map.plot, letters = { x: [], y: [], text: [] };
  const least = (LETTER * SEEN) / Math.min(plot.inner_width, plot.inner_height), done = new Uint8Array(depth.length);
  const deepest = [...depth.keys()].filter((k) => depth[k] >= least).sort((a, b) => depth[b] - depth[a]);
  for (const k of deepest) {
    if (done[k]) continue;
    letters.x.push(places[0][k % SEEN][0]); letters.y.push(places[1][Math.floor(k / SEEN)][0]); letters.text.push(phaseLetters(phases[k]));
    for (const region = [k]; region.length;) {
      const one = region.pop(), column = one % SEEN;
      if (done[one] || phases[one] !== phases[k]) continue;
      done[one] = 1;
      if (column > 0) region.push(one - 1);
      if (column < SEEN - 1) region.push(one + 1);
      if (one >= SEEN) region.push(one - SEEN);
      if (one + SEEN < done.length) region.push(one + SEEN);
    }
  }
  sources.map.labels.data = letters;
}

let asked = 0;
const lettersSoon = () => { asked ||= requestAnimationFrame(() => { asked = 0; drawLetters(); }); };
const phaseLetters = (phase) => names[phase].split(facts.tie).map(letterOf).join("=");

function lines(map, wanted) {
  const xs = [], ys = [];
  for (const curve of map.curves_of) {
    if (!wanted(curve)) continue;
    const rows = Array.from({ length: curve.to - curve.from }, (_, k) => 2 * (curve.from + k));
    xs.push(rows.map((k) => map.curves[k]));
    ys.push(rows.map((k) => map.curves[k + 1]));
  }
  return { xs, ys };
}

let spinodalsShown = "";
function drawSpinodals(force = true) {
  const map = current(), at = sources.map;
  const wanted = pointed ?? phasesAt(map, chosen().cell);
  const key = state.spinodals === "pointed" ? wanted.join() : state.spinodals;
  if (!force && key === spinodalsShown) return;
  spinodalsShown = key;
  const data = lines(map, (curve) => curve.kind === "spinodal" && (state.spinodals === "all" || (state.spinodals === "pointed" && wanted.includes(curve.phase))));
  at.spinodals.data = data;
  at["spinodal-dots"].data = data;
  $("map").dataset.spinodals = data.xs.length;
}

function differing(map, other) {
  const x = [], y = [];
  map.y.forEach((down, row) => map.x.forEach((across, column) => {
    const own = phasesAt(map, row * map.x.length + column), theirs = phasesAt(other, cellAt(other, across, down).cell);
    if (!own.some((name) => theirs.includes(name))) { x.push(across); y.push(down); }
  }));
  return { x, y };
}

function drawDiffers() {
  const other = state.differs && state.differs !== state.map ? mapOf(state.differs) : null;
  const data = other ? differing(current(), other) : { x: [], y: [] };
  sources.map.differs.data = data;
  sources.map["differs-ink"].data = data;
  const wide = 300 / Math.max(current().x.length, current().y.length);
  for (const one of sources.map.plot.renderers) {
    if (one.data_source.name?.startsWith("differs")) one.glyph.size = { value: Math.min(12, Math.max(5, wide)) };
  }
  $("differs-count").textContent = other ? `${data.x.length} of ${current().loss.length}` : "";
}

function drawChosen() {
  const at = chosen(), [[left, right], [low, high]] = current().window, spot = { x: [at.x], y: [at.y] };
  sources.map.chosen.data = { xs: [[left, right], [at.x, at.x]], ys: [[at.y, at.y], [low, high]] };
  sources.map.spot.data = spot;
  sources.map["spot-ink"].data = spot;
}

function drawLegend(map) {
  const lowest = new Set(), items = [];
  for (const phase of new Set([...map.phase, ...map.image])) names[phase].split(facts.tie).forEach((name) => lowest.add(name));
  const others = new Set([...map.minimum_phase].map((phase) => names[phase]).filter((name) => !lowest.has(name)));
  for (const [name, rank] of [...[...lowest].map((one) => [one, ""]), ...[...others].map((one) => [one, " (nowhere the lowest)"])]) {
    const item = document.createElement("li");
    item.append(swatch(name), name + rank);
    items.push([letterOf(name), item]);
  }
  $("phases").replaceChildren(...items.sort((a, b) => a[0].length - b[0].length || a[0].localeCompare(b[0])).map(([, item]) => item));
  const kinds = new Set([hasBoundaries(map) ? "" : "border", ...map.curves_of.map((curve) => curve.order ?? curve.kind), ...map.points_met.map((point) => point.kind)]);
  const words = {
    border: ["border between cells: its curve is not followed", { d: "M1 6H35", "stroke-width": 1 }],
    first: ["first order: two minima cross", { d: "M1 6H35" }],
    continuous: ["continuous: one becomes the other", { d: "M1 6H35", "stroke-dasharray": "8 4" }],
    spinodal: ["spinodal: beyond it a phase is no minimum", { d: "M1 6H35", "stroke-dasharray": "2 4" }],
    "triple point": ["triple point", { d: "M18 2a4 4 0 1 0 0.01 0z", fill: "#000" }],
    "order changes": ["tricritical point: the order changes", { d: "M18 1l6 5l-6 5l-6 -5z", fill: "#fff" }],
    "critical point": ["critical point: two minima of a phase merge", { d: "M18 2a4 4 0 1 0 0.01 0z", fill: "#fff" }],
    "first crossing": ["first order: two minima cross", { d: "M18 3a3 3 0 1 0 0.01 0z", fill: "#000" }],
    "continuous crossing": ["continuous: one becomes the other", { d: "M18 3a3 3 0 1 0 0.01 0z", fill: "#fff" }],
  };
  $("lines").replaceChildren(...Object.entries(words).filter(([kind]) => kinds.has(kind)).map(([, [text, path]]) => {
    const item = document.createElement("li"), svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", "36"); svg.setAttribute("height", "12"); svg.setAttribute("aria-hidden", "true");
    shape(svg, "path", { fill: "none", stroke: "#000", "stroke-width": 2, ...path });
    item.append(svg, text);
    return item;
  }));
}

function swatch(name) {
  const one = document.createElement("span"), colour = facts.phases[names.indexOf(name)].colour;
  const light = [1, 3, 5].reduce((sum, k, j) => sum + [0.2126, 0.7152, 0.0722][j] * (parseInt(colour.slice(k, k + 2), 16) / 255) ** 2.2, 0);
  one.className = "swatch";
  one.style.background = colour;
  one.style.color = light > 0.18 ? "#000" : "#fff";
  one.textContent = letterOf(name);
  return one;
}

// ---- the chosen point

function row(head, ...cells) {
  const line = document.createElement("tr");
  cells.forEach((text, k) => {
    const cell = document.createElement(k ? "td" : head);
    if (!k && head === "th") cell.scope = "row";
    cell.textContent = text;
    line.append(cell);
  });
  return line;
}

function drawPoint() {
  const map = current(), at = chosen(), found = minimaAt(map, at.cell), lowest = map.loss[at.cell];
  $("map-says").textContent = sentence(map, at);
  $("minima").replaceChildren(...found.map((one, k) => card(one, lowest, k)));
  $("x").value = String(Number(at.x.toPrecision(6)));
  $("y").value = String(Number(at.y.toPrecision(6)));
}

// by feature: norm, interference and bias, or what neurons read, and write where that differs
function columnsOf(rows, values) {
  const bias = values.map((value) => short(Number(value.toFixed(5)), 5));
  if (!facts.neurons) {
    const { norm, interference } = orderParameters(rows);
    return { norm: norm.map((value) => value.toFixed(4)), interference: interference.map((value) => value.toFixed(4)), bias };
  }
  const read = rows.slice(0, facts.n_hidden), written = rows.slice(facts.n_hidden);
  const weights = read.map((row, k) => [`neuron ${k + 1}`, row.map((value, i) => [value, ...written.slice(k, k + 1).map((other) => other[i])].map((one) => short(Number(one.toFixed(4)), 5)).join(" → "))]);
  return { ...Object.fromEntries(weights), bias };
}

function card(one, lowest, k) {
  const item = document.createElement("li"), rows = rowsOf(one.x), bias = biasOf(one.x), columns = columnsOf(rows, bias);
  const above = percent(aboveOf(one.loss, lowest));
  if (one.loss <= lowest * (1 + 1e-10)) item.className = "lowest";
  const head = document.createElement("h3");
  head.append(swatch(one.phase), ` ${one.phase}`);
  const loss = document.createElement("p");
  loss.textContent = `Loss ${short(one.loss, 7)}, ${above}`;
  const what = one.phase + rows.map((values, h) => `; W row ${h + 1}: ${values.map((value) => short(value, 3)).join(", ")}`).join("");
  const table = document.createElement("table"), body = document.createElement("tbody"), scroll = document.createElement("div");
  table.createCaption().textContent = `${upper(ONE())} ${k + 1}, by feature` + (facts.n_rows > facts.n_hidden ? ": reads → writes" : "");
  const top = document.createElement("thead"), titles = row("th", "feature", ...Object.keys(columns));
  titles.querySelectorAll("td").forEach((cell) => { const th = document.createElement("th"); th.scope = "col"; th.textContent = cell.textContent; cell.replaceWith(th); });
  titles.firstChild.scope = "col";
  top.append(titles);
  bias.forEach((_, i) => {
    const line = row("th", featureName(i, bias.length), ...Object.values(columns).map((values) => values[i]));
    if (i === bias.length - 1) line.className = "extra";
    body.append(line);
  });
  table.append(top, body);
  Object.assign(scroll, { className: "scroll", tabIndex: 0, role: "group", ariaLabel: `Numbers of ${ONE()} ${k + 1}` });
  scroll.append(table);
  item.append(head, facts.neurons ? drawNeurons(rows, facts.n_hidden, `Neurons, ${what}`) : drawColumns(rows, `Columns of W, ${what}`), loss, scroll);
  return item;
}

// ---- the cut

// the minima of neighbouring cells joined: a list of {places, losses, phases}
function sheets(map, cells) {
  let growing = [];
  const done = [];
  cells.forEach((cell, place) => {
    const found = minimaAt(map, cell).map((one) => ({ ...one, key: invariants(one.x) })), pairs = [];
    growing.forEach((sheet, a) => found.forEach((one, b) => {
      const apart = one.key.reduce((most, value, k) => Math.max(most, Math.abs(value - sheet.key[k])), 0);
      if (apart < SAME_SHEET) pairs.push([apart, a, b]);
    }));
    const taken = new Map(), used = new Set();
    for (const [, a, b] of pairs.sort((one, other) => one[0] - other[0])) {
      if (!used.has(a) && !taken.has(b)) { used.add(a); taken.set(b, growing[a]); }
    }
    done.push(...growing.filter((_, a) => !used.has(a)));
    growing = found.map((one, b) => {
      const sheet = taken.get(b) ?? { places: [], losses: [], phases: [] };
      sheet.places.push(place); sheet.losses.push(one.loss); sheet.phases.push(one.phase); sheet.key = one.key;
      return sheet;
    });
  });
  return [...done, ...growing];
}

function drawCut() {
  const map = current(), at = chosen(), along = state.cut === "x" ? 0 : 1, own = sources[`cut-${state.cut}`];
  const values = along ? map.y : map.x, n = map.x.length;
  const cells = values.map((_, k) => (along ? k * n + at.column : at.row * n + k));
  const height = (loss, place) => (state.scale === "loss" ? Math.log10(loss) : Math.log10(1 + 100 * aboveOf(loss, map.loss[cells[place]])));
  const lowest = { xs: [], ys: [], colour: [], dash: [] }, metastable = { xs: [], ys: [], colour: [], dash: [] };
  const dots = { x: [], y: [], colour: [] }, ends = { x: [], y: [] }, letters = { x: [], y: [], text: [] }, seen = new Map();
  let top = -Infinity, bottom = Infinity;
  const note = (y) => { if (Number.isFinite(y)) { top = Math.max(top, y); bottom = Math.min(bottom, y); } return y; };
  const colourOf = (name) => facts.phases[names.indexOf(name)].colour;
  if (state.map === "trained") {
    cells.forEach((cell, place) => minimaAt(map, cell).forEach((one) => { dots.x.push(values[place]); dots.y.push(note(height(one.loss, place))); dots.colour.push(colourOf(one.phase)); seen.set(one.phase, { name: one.phase }); }));
  }
  for (const sheet of state.map === "trained" ? [] : sheets(map, cells)) {
    const isLowest = (k) => sheet.losses[k] <= map.loss[cells[sheet.places[k]]] * (1 + 1e-10);
    for (let first = 0; first < sheet.places.length;) {
      let last = first;
      while (last + 1 < sheet.places.length && sheet.phases[last + 1] === sheet.phases[first] && isLowest(last + 1) === isLowest(first)) last++;
      const low = isLowest(first), into = low ? lowest : metastable;
      const from = low ? first : Math.max(first - 1, 0), to = low ? last : Math.min(last + 1, sheet.places.length - 1);
      const run = Array.from({ length: to - from + 1 }, (_, k) => from + k), name = sheet.phases[first];
      const [xs, ys] = [run.map((k) => values[sheet.places[k]]), run.map((k) => note(height(sheet.losses[k], sheet.places[k])))];
      if (run.length === 1) {
        dots.x.push(...xs); dots.y.push(...ys); dots.colour.push(colourOf(name));
      }
      into.xs.push(xs); into.ys.push(ys);
      into.colour.push(colourOf(name));
      into.dash.push(DASHES[simple.indexOf(name) % DASHES.length]);
      const middle = (first + last) >> 1, key = `${name}${low ? "" : " "}`, length = last - first + 1;
      if (length > (seen.get(key)?.length ?? 0)) seen.set(key, { name, length, x: values[sheet.places[middle]], y: height(sheet.losses[middle], sheet.places[middle]) });
      first = last + 1;
    }
    for (const k of sheet.places.length > 1 ? [0, sheet.places.length - 1] : []) {
      if (sheet.places[k] > 0 && sheet.places[k] < values.length - 1) { ends.x.push(values[sheet.places[k]]); ends.y.push(height(sheet.losses[k], sheet.places[k])); }
    }
  }
  if (!(top > bottom)) top = bottom + 1;
  top = Math.max(top, bottom + LEAST);
  for (const spot of [...seen.values()].filter(({ length }) => length)) { // letters at one place are one text
    const x = within(along, spot.x), there = letters.x.findIndex((other, k) => other === x && Math.abs(letters.y[k] - spot.y) < 0.05 * (top - bottom));
    if (there >= 0) { letters.text[there] += `=${letterOf(spot.name)}`; continue; }
    letters.x.push(x); letters.y.push(spot.y); letters.text.push(letterOf(spot.name));
  }
  Object.entries({ lowest, metastable, dots, ends, letters, here: { xs: [[values[along ? at.row : at.column], values[along ? at.row : at.column]]], ys: [[bottom, top]] } }).forEach(([name, data]) => { own[name].data = data; });
  const plot = own.plot, room = 0.08 * (top - bottom);
  const marks = state.scale === "loss" ? ticks(10 ** bottom, 10 ** top, true).map(Math.log10) : above(10 ** top - 1).map((mark) => Math.log10(1 + mark));
  plot.y_range.setv({ start: bottom - room, end: top + room });
  plot.left[0].ticker.ticks = marks;
  plot.left[0].axis_label = state.scale === "loss" ? "loss" : "loss above the lowest (%)";
  plot.left[0].formatter.code = state.scale === "loss" ? "return String(Number((10 ** tick).toPrecision(3)))" : "return String(Number((10 ** tick - 1).toPrecision(3)))";
  const fixed = along ? `${axes[0].name} ${short(at.x)}` : `${axes[1].name} ${short(at.y)}`;
  const symbols = [[ends.x.length, "○: ceases to be a minimum"], [dots.x.length, `●: a ${ONE()} of one cell`]].filter(([there]) => there).map(([, text]) => text);
  const key = state.map === "trained" ? "●: a model" : ["thick: the lowest", `thin: ${OTHERS().toLowerCase()}`, ...symbols].join(", ");
  const phases = [...new Set([...seen.values()].map(({ name }) => `${letterOf(name)} ${name}`))].sort().join("; ");
  $("cut-says").textContent = `Losses along ${axes[along].name} at ${fixed}; ${key}. Phases: ${phases}.`;
  for (const name of ["x", "y"]) $(`plot-cut-${name}`).hidden = name !== state.cut;
}

// percentages from 0 up to one: what is small and what is large is seen on log(1 + %)
function above(top) {
  if (top < 10) return ticks(0, top, false);
  return [0, ...[1, 10, 100, 1000, 10000, 100000].flatMap((power) => (top < 200 ? [1, 3] : [1]).map((one) => one * power))].filter((mark) => mark <= top);
}

// a place along an axis, or the nearest at which a letter is not cut off
function within(axis, value) {
  const [low, high] = current().window[axis].map((end) => coordinate(axis, end)), room = 0.02 * (high - low);
  return valueOf(axis, Math.min(Math.max(coordinate(axis, value), low + room), high - room));
}

// round numbers between two values; on a logarithmic axis 1, 2 and 5 times powers of ten
function ticks(low, high, log) {
  const inside = (mark) => mark >= low - 1e-9 * (high - low) && mark <= high + 1e-9 * (high - low);
  if (log && low > 0) {
    const marks = [], steps = high > 3000 * low ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) for (const step of steps) marks.push(Number(`${step}e${power}`));
    const kept = marks.filter((mark) => mark >= low * (1 - 1e-9) && mark <= high * (1 + 1e-9));
    if (kept.length > 2) return kept;
  }
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough * (1 - 1e-9));
  return Array.from({ length: 14 }, (_, k) => Number(((Math.ceil(low / step - 1e-9) + k) * step).toPrecision(12))).filter(inside);
}

function mark(plot) {
  plot.below[0].ticker.ticks = ticks(plot.x_range.start, plot.x_range.end, axes[plot === sources["cut-y"].plot ? 1 : 0].log);
  if (plot === sources.map.plot) plot.left[0].ticker.ticks = ticks(plot.y_range.start, plot.y_range.end, axes[1].log);
}

// ---- state and address

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1)), has = (name, allowed) => allowed.includes(given.get(name));
  if (has("map", theories)) state.map = given.get("map");
  const slice = facts.slices.indexOf(given.get("slice"));
  if (slice >= 0) state.slice = slice;
  for (const [k, name] of ["x", "y"].entries()) {
    const value = Number(given.get(name));
    if (given.has(name) && Number.isFinite(value) && !(axes[k].log && value <= 0)) state[name] = value;
  }
  for (const [name, allowed] of Object.entries({ cut: ["x", "y"], scale: ["excess", "loss"], differs: theories, spinodals: ["pointed", "all", "none"] })) {
    if (has(name, allowed)) state[name] = given.get(name);
  }
  const window = (given.get("window") ?? "").split(",").map(Number);
  state.window = window.length === 4 ? fitting(window) : null;
}

// a window as far as it lies within the map; null where it is none, or too little of one
function fitting(window) {
  const ends = [window.slice(0, 2), window.slice(2)].flatMap(([low, high], axis) => {
    const [least, most] = current().window[axis], [from, to] = [Math.max(low, least), Math.min(high, most)];
    const part = (coordinate(axis, to) - coordinate(axis, from)) / (coordinate(axis, most) - coordinate(axis, least));
    return part > 0.99 * DEEPEST ? [from, to] : [];
  });
  return ends.length === 4 ? ends : null;
}

function writeAddress() {
  const at = chosen(), parts = { map: state.map, x: at.x, y: at.y, cut: state.cut, scale: state.scale, spinodals: state.spinodals };
  if (facts.slices.length > 1) parts.slice = facts.slices[state.slice];
  if (state.differs) parts.differs = state.differs;
  if (state.window) parts.window = state.window.map((value) => Number(value.toPrecision(10)));
  try { history.replaceState(null, "", `#${new URLSearchParams(parts)}`); } catch { /* within a notebook there is no address */ }
}

function showControls() {
  document.querySelectorAll("input[name=map]").forEach((one) => { one.checked = one.value === state.map; });
  for (const name of ["cut", "scale", "differs", "spinodals"]) $(name).value = state[name];
  $("slider").value = state.slice;
  $("slider").setAttribute("aria-valuetext", facts.slices[state.slice]);
  $("slider-value").textContent = facts.slices[state.slice];
}

function setWindow() {
  const whole = current().window.flat(), [left, right, low, high] = state.window ?? whole, plot = sources.map.plot;
  plot.x_range.setv({ start: left, end: right });
  plot.y_range.setv({ start: low, end: high });
}

function zoom(factor) {
  const at = chosen(), plot = sources.map.plot, whole = current().window;
  const next = [[plot.x_range, at.x], [plot.y_range, at.y]].flatMap(([range, middle], axis) => {
    const [low, high] = whole[axis].map((value) => coordinate(axis, value)), u = coordinate(axis, middle);
    const half = Math.min(Math.max(factor * (coordinate(axis, range.end) - coordinate(axis, range.start)), DEEPEST * (high - low)), high - low) / 2;
    const centre = Math.min(Math.max(u, low + half), high - half);
    return [valueOf(axis, centre - half), valueOf(axis, centre + half)];
  });
  state.window = factor === Infinity ? null : next;
  setWindow();
  writeAddress();
}

function update(changes, { map = false } = {}) {
  Object.assign(state, changes);
  showControls();
  if (map) drawMap(); else drawSpinodals(false);
  drawChosen();
  drawPoint();
  drawCut();
  writeAddress();
}

function choose(x, y) {
  const at = cellAt(current(), x, y);
  update({ x: at.x, y: at.y });
}

// ---- what people do

function hover(event) {
  const map = current(), box = $("hover"), [[left, right], [low, high]] = map.window;
  if (!(event.x >= left && event.x <= right && event.y >= low && event.y <= high)) return leave();
  const at = cellAt(map, event.x, event.y), { phase, loss, above, norm, converged } = summary(map, at);
  pointed = phasesUnder(map, event.x, event.y);
  const across = phasesAt(map, at.cell).some((name) => pointed.includes(name)) ? "" : `, across a boundary: ${phase}`;
  box.textContent = [lettered(pointed), `nearest cell: ${describe(at)}${across}`, `loss ${loss}${converged ? "" : " (not converged)"}`, norm, ...above].join("\n");
  box.hidden = false;
  const place = $("map").getBoundingClientRect(), right_ = event.sx > place.width / 2, below = event.sy > place.height / 2;
  box.style.left = right_ ? "auto" : `${event.sx + 16}px`;
  box.style.right = right_ ? `${place.width - event.sx + 16}px` : "auto";
  box.style.top = below ? "auto" : `${event.sy + 16}px`;
  box.style.bottom = below ? `${place.height - event.sy + 16}px` : "auto";
  drawSpinodals(false);
}

function leave() {
  $("hover").hidden = true;
  pointed = null;
  drawSpinodals(false);
}

function keys(event) {
  const map = current(), at = chosen(), step = event.shiftKey ? 10 : 1;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  leave(); // what the pointer shows is no longer what is asked for
  if (moves[event.key]) {
    const [dx, dy] = moves[event.key], clip = (k, list) => list[Math.min(Math.max(k, 0), list.length - 1)];
    choose(clip(at.column + step * dx, map.x), clip(at.row + step * dy, map.y));
  } else if (event.key === "Home") {
    const best = map.loss.indexOf(Math.min(...map.loss));
    choose(map.x[best % map.x.length], map.y[Math.floor(best / map.x.length)]);
  } else if (event.key === "+" || event.key === "=") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else if (event.key === "0") zoom(Infinity);
  else if (event.key === "m" || event.key === "M") update({ map: theories[(theories.indexOf(state.map) + 1) % theories.length] }, { map: true });
  else return;
  event.preventDefault();
}

// weights as files have them: one matrix, or encoder and decoder
function matricesOf(x) {
  const rows = rowsOf(x), m = facts.n_hidden;
  if (facts.n_rows === m) return { weights: rows };
  return { encoder: rows.slice(0, m), decoder: rows[0].map((_, i) => rows.slice(m).map((row) => row[i])) };
}

function pointArrays() {
  const map = current(), at = chosen(), found = minimaAt(map, at.cell), n = facts.n_features;
  const all = (part) => Float64Array.from(found.flatMap((one) => part(one)));
  const weights = Object.keys(found.length ? matricesOf(found[0].x) : {}).map((name) => {
    const rows = found.map((one) => matricesOf(one.x)[name]);
    return [name, [Float64Array.from(rows.flat(2)), [found.length, rows[0].length, rows[0][0].length]]];
  });
  return {
    ...Object.fromEntries(weights),
    bias: [all((one) => biasOf(one.x)), [found.length, n]],
    loss: [all((one) => [one.loss]), [found.length]],
    phase: [found.map((one) => one.phase), [found.length]],
    [`axis_${axes[0].name}`]: [Float64Array.of(at.x), [1]],
    [`axis_${axes[1].name}`]: [Float64Array.of(at.y), [1]],
  };
}

function fileName(ending) {
  const at = chosen(), words = [facts.n_features, "to", facts.n_hidden, "-", state.map, "-", axes[0].name, "-", Number(at.x.toPrecision(4)), "-", axes[1].name, "-", Number(at.y.toPrecision(4))];
  return words.join("") + ending;
}

function pointFacts() {
  const map = current(), at = chosen();
  const point = { [axes[0].name]: at.x, [axes[1].name]: at.y, ...(facts.slices.length > 1 ? { [facts.slider]: facts.slices[state.slice] } : {}) };
  const minima = minimaAt(map, at.cell).map((one) => ({ phase: one.phase, loss: one.loss, ...matricesOf(one.x), bias: biasOf(one.x) }));
  return { phasediag: facts.phasediag, theory: state.map, n_features: facts.n_features, n_hidden: facts.n_hidden, point, loss: map.loss[at.cell], minima };
}

function option(value, text) {
  const one = document.createElement("option");
  one.value = value;
  one.textContent = text;
  return one;
}

function prepareControls() {
  $("plane").textContent = `${axes[0].label} and ${axes[1].label}`;
  for (const theory of theories) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "map", value: theory, id: `map-${theory}` });
    label.append(input, ` ${theory}`);
    $("maps").append(label);
    input.addEventListener("change", () => update({ map: theory }, { map: true }));
  }
  $("slider-row").hidden = facts.slices.length < 2;
  $("slider-name").textContent = facts.slider;
  $("slider").max = facts.slices.length - 1;
  $("slider").addEventListener("input", () => update({ slice: Number($("slider").value) }, { map: true }));
  $("differs-row").hidden = theories.length < 2;
  $("differs").append(option("", "no other map"), ...theories.map((theory) => option(theory, theory)));
  $("cut").append(option("x", axes[0].name), option("y", axes[1].name));
  $("differs").addEventListener("change", () => { state.differs = $("differs").value; drawDiffers(); writeAddress(); });
  $("spinodals").addEventListener("change", () => { state.spinodals = $("spinodals").value; drawSpinodals(); writeAddress(); });
  for (const name of ["cut", "scale"]) $(name).addEventListener("change", () => { state[name] = $(name).value; drawCut(); writeAddress(); });
  ["x", "y"].forEach((name, k) => {
    $(`${name}-name`).textContent = axes[k].name;
    $(name).addEventListener("change", () => {
      const value = Number($(name).value);
      if (Number.isFinite(value) && !(axes[k].log && value <= 0)) choose(...(k ? [state.x, value] : [value, state.y])); else drawPoint();
    });
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("map").addEventListener("keydown", keys);
  $("map").addEventListener("pointerleave", leave);
  $("zoom-in").addEventListener("click", () => zoom(0.5));
  $("zoom-out").addEventListener("click", () => zoom(2));
  $("zoom-all").addEventListener("click", () => zoom(Infinity));
  $("get-npz").addEventListener("click", () => save(fileName(".npz"), [npz(Object.entries(pointArrays()).map(([name, array]) => [name, ...array]))], "application/zip"));
  $("get-json").addEventListener("click", () => save(fileName(".json"), [JSON.stringify(pointFacts(), null, 1)], "application/json"));
  $("get-csv").addEventListener("click", () => save(`${facts.n_features}to${facts.n_hidden}-${state.map}-curves.csv`, [current().csv], "text/csv"));
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("map").focus(); });
}

// plots are seen, not reached by Tab: what they show is told beside them
function unfocused(place) {
  for (const one of place.querySelectorAll("*")) {
    if (one.tabIndex >= 0) one.tabIndex = -1;
    if (one.shadowRoot) unfocused(one.shadowRoot);
  }
}

async function preparePlots() {
  for (const [name, item] of Object.entries(JSON.parse($("plots").textContent))) {
    await Bokeh.embed.embed_item(item, `plot-${name}`);
    const shown = Bokeh.documents.at(-1), plot = shown.roots()[0];
    unfocused($(`plot-${name}`));
    sources[name] = { plot };
    for (const renderer of plot.renderers) if (renderer.data_source.name) sources[name][renderer.data_source.name] = renderer.data_source;
  }
  const plot = sources.map.plot;
  for (const range of [plot.x_range, plot.y_range]) range.change.connect(() => { mark(plot); lettersSoon(); });
  for (const length of ["inner_width", "inner_height"]) plot.properties[length].change.connect(lettersSoon);
  Object.values(sources).forEach((one) => mark(one.plot));
  plot.on_event("mousemove", hover);
  plot.on_event("tap", (event) => { choose(event.x, event.y); });
  plot.on_event("panend", () => { state.window = [plot.x_range.start, plot.x_range.end, plot.y_range.start, plot.y_range.end]; writeAddress(); });
}

async function start() {
  await unpack();
  const middle = (values) => values[values.length >> 1];
  Object.assign(state, { x: middle(facts.maps[0].x), y: middle(facts.maps[0].y) });
  readAddress();
  prepareControls();
  await preparePlots();
  setWindow();
  update({}, { map: true });
  addEventListener("hashchange", () => { readAddress(); setWindow(); update({}, { map: true }); });
  document.documentElement.dataset.ready = Math.round(performance.now());
}

start().catch((error) => {
  $("failed").hidden = false;
  $("failed").textContent = `This page could not be shown: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
