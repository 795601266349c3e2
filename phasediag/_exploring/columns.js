// The columns of W as the figures draw them: an SVG image.

const SVG = "http://www.w3.org/2000/svg";
const ABSENT = 1e-3; // norms below this are drawn as dots
const VIEW = [[-0.78, 0.62, 0], [-0.25, -0.32, 0.91]]; // rows: what points right and up, seen from one fixed place
const EXTRA = "#b84a00", ORDINARY = "#404040";

function shape(parent, name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  parent.append(one);
  return one;
}

function featureName(i, n) {
  return i === n - 1 ? "extra" : String(i + 1);
}

// weights: n_hidden rows of n_features numbers; title: what the image is called
function drawColumns(weights, title) {
  const m = weights.length, n = weights[0].length;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  if (m > 3) return drawProducts(svg, weights, n);
  const column = (i) => weights.map((row) => row[i]);
  const norms = Array.from({ length: n }, (_, i) => Math.hypot(...column(i)));
  const absent = norms.map((norm) => norm < ABSENT);
  const reach = Math.max(1, ...norms);
  const someAbsent = absent.some(Boolean);
  const edge = reach * (1.35 + (m > 1 && someAbsent ? 0.4 : 0));
  const lines = m === 1, height = lines ? (0.5 * n + 0.7) * reach : 2 * edge;
  svg.setAttribute("viewBox", `${-edge} ${-height / 2} ${2 * edge} ${height}`);
  const unit = edge / 100, place = [];
  const grey = { stroke: "#777", "stroke-width": 0.9 * unit, fill: "none" };
  if (lines) {
    const top = (0.25 * n * reach) + 0.2 * reach;
    for (const x of [-1, 0, 1]) {
      shape(svg, "line", { x1: x, x2: x, y1: -top, y2: top, ...grey, ...(x ? { "stroke-dasharray": `${2 * unit}` } : {}) });
      shape(svg, "text", { x, y: top + 9 * unit, "font-size": 9 * unit, "text-anchor": "middle", fill: "#555" }, String(x).replace("-", "−"));
    }
    for (let i = 0; i < n; i++) {
      const y = n > 1 ? (i / (n - 1) - 0.5) * 0.5 * n * reach : 0;
      place.push([[0, y], [weights[0][i], y]]);
    }
  } else {
    shape(svg, "circle", { cx: 0, cy: 0, r: 1, ...grey, "stroke-dasharray": `${2 * unit}` });
    const missing = absent.flatMap((gone, i) => (gone ? [i] : []));
    for (let i = 0; i < n; i++) {
      const w = column(i), k = missing.indexOf(i);
      const flat = m === 2 ? w : VIEW.map((row) => row.reduce((sum, v, j) => sum + v * w[j], 0));
      const step = Math.min(0.3, 2.4 / Math.max(missing.length, 1)) * reach;
      const spot = [(k - (missing.length - 1) / 2) * step, edge - 0.4 * reach];
      place.push(k < 0 ? [[0, 0], [flat[0], -flat[1]]] : [spot, spot]);
    }
  }
  const taken = [];
  for (let i = 0; i < n; i++) {
    const [from, to] = place[i], colour = i === n - 1 ? EXTRA : ORDINARY;
    if (absent[i]) {
      shape(svg, "circle", { cx: from[0], cy: from[1], r: 3.2 * unit, fill: "#fff", stroke: colour, "stroke-width": 1.4 * unit });
    } else {
      arrow(svg, from, to, colour, unit, i === n - 1);
    }
  }
  for (let i = 0; i < n; i++) {
    const [from, to] = place[i], colour = i === n - 1 ? EXTRA : "#222", name = featureName(i, n);
    const along = absent[i] ? Math.PI / 2 : Math.atan2(to[1] - from[1], to[0] - from[0]);
    let best = null;
    for (const gap of [10, 20, 30]) for (const turn of [0, 0.7, -0.7, 1.4, -1.4, 2.4, -2.4]) {
      const wide = 3 * name.length, [dx, dy] = [Math.cos(along + turn), Math.sin(along + turn)];
      const spot = [to[0] + (gap + wide * Math.abs(dx) - 3) * unit * dx, to[1] + gap * unit * dy];
      const crowd = taken.filter(([x, y, half]) => Math.abs(x - spot[0]) < (half + wide) * unit && Math.abs(y - spot[1]) < 10 * unit).length;
      const crossed = place.filter(([start, end]) => covers(start, end, spot, (wide + 2) * unit, 6 * unit)).length;
      if (best === null || crowd + crossed < best.crowd) best = { spot, crowd: crowd + crossed, wide };
    }
    taken.push([...best.spot, best.wide]);
    const weight = i === n - 1 ? "bold" : "normal";
    shape(svg, "text", { x: best.spot[0], y: best.spot[1] + 3.5 * unit, "font-size": 11 * unit, "font-weight": weight, "text-anchor": "middle", fill: colour }, name);
  }
  return svg;
}

// whether points along an arrow lie in a box
function covers([x1, y1], [x2, y2], [x, y], half, high) {
  return [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].some((t) => Math.abs(x1 + t * (x2 - x1) - x) < half && Math.abs(y1 + t * (y2 - y1) - y) < high);
}

function arrow(svg, [x1, y1], [x2, y2], colour, unit, dashed) {
  const length = Math.hypot(x2 - x1, y2 - y1), head = Math.min(8 * unit, length);
  const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
  const [bx, by] = [x2 - head * dx, y2 - head * dy], half = 0.42 * head;
  shape(svg, "line", { x1, y1, x2: bx, y2: by, stroke: colour, "stroke-width": (dashed ? 3.2 : 2) * unit });
  const corners = [[x2, y2], [bx - half * dy, by + half * dx], [bx + half * dy, by - half * dx]];
  shape(svg, "polygon", { points: corners.map((p) => p.join(",")).join(" "), fill: colour });
}

// more than three hidden dimensions: the products W_i·W_j, red for −1, white for 0, blue for 1
function drawProducts(svg, weights, n) {
  svg.setAttribute("viewBox", `-0.6 -0.6 ${n + 0.7} ${n + 0.7}`);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const value = weights.reduce((sum, row) => sum + row[i] * row[j], 0);
      const pale = Math.round(255 * (1 - Math.min(1, Math.abs(value))));
      const fill = value < 0 ? `rgb(${160 + Math.round(0.37 * pale)},${pale},${pale})` : `rgb(${pale},${pale},${130 + Math.round(0.49 * pale)})`;
      const cell = shape(svg, "rect", { x: j, y: i, width: 1, height: 1, fill, stroke: "#999", "stroke-width": 0.02 });
      shape(cell, "title", {}, `W${i + 1}·W${j + 1} = ${value.toFixed(3)}`);
    }
    for (const [x, y] of [[i + 0.5, -0.1], [-0.25, i + 0.6]]) {
      shape(svg, "text", { x, y, "font-size": 0.35, "text-anchor": "middle", fill: i === n - 1 ? EXTRA : "#222" }, i === n - 1 ? "x" : String(i + 1));
    }
  }
  return svg;
}

// what each of some neurons reads, and beside it, striped, what it writes where that differs: bars stacked by feature
function drawNeurons(rows, count, title) {
  const svg = document.createElementNS(SVG, "svg"), n = rows[0].length, untied = rows.length > count, width = untied ? 0.38 : 0.6;
  const sum = (row, sign) => row.reduce((all, value) => all + Math.max(0, sign * value), 0);
  const up = Math.max(1, ...rows.map((row) => sum(row, 1))), down = Math.min(up, Math.max(0.1 * up, ...rows.map((row) => sum(row, -1))));
  const unit = 1.4 / (up + down), high = 1.4 + 0.3, wide = count + 0.5; // below the bars: the neurons' numbers
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  svg.setAttribute("viewBox", `-0.5 ${-up * unit - 0.08} ${wide} ${high}`);
  svg.style.maxWidth = `${5.5 * wide}rem`;
  const colour = (i) => (i === n - 1 ? EXTRA : ["#404040", "#c4c4c4", "#7d7d7d", "#e6e6e6"][i % 4]);
  rows.forEach((row, h) => {
    const left = (h % count) + (untied ? (h < count ? 0.1 : 0.52) : 0.2), ends = { true: 0, false: 0 };
    row.forEach((value, i) => {
      if (Math.abs(value) < ABSENT) return;
      const positive = value > 0, from = ends[positive], to = positive ? from + value : Math.max(from + value, -down), middle = (-unit * (from + to)) / 2;
      ends[positive] = to;
      const [top, height] = [-unit * Math.max(from, to), unit * Math.abs(to - from)], named = height > 0.14;
      const bar = shape(svg, "rect", { x: left, y: top, width, height, fill: colour(i), stroke: "#fff", "stroke-width": 0.015 });
      shape(bar, "title", {}, `feature ${featureName(i, n)}: ${value.toFixed(4)}`);
      if (h >= count) for (let at = top + 0.05; at < top + height; at += 0.1) if (!named || Math.abs(at - middle) > 0.08) shape(svg, "line", { x1: left, x2: left + width, y1: at, y2: at, stroke: "#fff", "stroke-width": 0.02 });
      if (named) shape(svg, "text", { x: left + width / 2, y: middle + 0.045, "font-size": 0.13, "text-anchor": "middle", fill: i === n - 1 || i % 2 === 0 ? "#fff" : "#000" }, featureName(i, n));
    });
  });
  const axis = { stroke: "#555", "stroke-width": 0.015 };
  shape(svg, "line", { x1: 0, x2: count, y1: 0, y2: 0, ...axis });
  for (const value of [0, 1, -1].filter((one) => one <= up && one >= -down)) shape(svg, "text", { x: -0.08, y: 0.045 - unit * value, "font-size": 0.13, "text-anchor": "end", fill: "#555" }, String(value).replace("-", "−"));
  for (let k = 0; k < count; k++) shape(svg, "text", { x: k + 0.5, y: unit * down + 0.18, "font-size": 0.13, "text-anchor": "middle", fill: "#222" }, `neuron ${k + 1}`);
  return svg;
}
