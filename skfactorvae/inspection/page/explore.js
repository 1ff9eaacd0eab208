"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = Uint8Array.from(
    atob(document.getElementById("weights").textContent.trim()),
    (character) => character.charCodeAt(0),
  ).buffer;
  const arrayOf = ({ type, at, size }) =>
    type === "f4" ? new Float32Array(bytes, at, size) : new Float64Array(bytes, at, size);

  // ------------------------------------------------------------------ decoder
  const erf = (x) => {
    // Numerical Recipes' rational Chebyshev fit; its relative error is below 1.2e-7.
    const t = 1 / (1 + 0.5 * Math.abs(x));
    const fit = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807,
      -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
    const tail = t * Math.exp(-x * x + fit.reduce((sum, c) => sum * t + c, 0));
    return x >= 0 ? 1 - tail : tail - 1;
  };
  const activations = {
    relu: (x) => Math.max(x, 0),
    leaky_relu: (x) => (x > 0 ? x : 0.2 * x),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    silu: (x) => x / (1 + Math.exp(-x)),
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    tanh: Math.tanh,
  };
  const logistic = (v) => 1 / (1 + Math.exp(-v));
  const addProduct = (y, x, weight) => {
    for (let i = 0; i < x.length; i++) {
      if (x[i] === 0) continue;
      for (let j = 0, k = i * y.length; j < y.length; j++, k++) y[j] += x[i] * weight[k];
    }
    return y;
  };
  const featureOf = (number, { likelihood, zero }) => {
    if (likelihood === "lognormal") return Math.log(number === 0 ? zero : number);
    return ["poisson", "negative_binomial"].includes(likelihood) ? Math.log1p(number) : number;
  };
  const kinds = {
    dense: (x, layer) => addProduct(Float64Array.from(layer.bias), x, layer.weight),
    linear: (x, layer, code) => addProduct(x, code, layer.weight),
    columns: (x, layer) => x.map((v, j) => {
      const n = layer.values.length / layer.low.length;
      const at = (v - layer.low[j]) / layer.width[j];
      const i = Math.min(Math.max(Math.floor(at), 0), n - 2), k = j * n + i;
      return layer.values[k] + (at - i) * (layer.values[k + 1] - layer.values[k]);
    }),
    table: (x, layer) => {
      const y = new Float64Array(layer.columns.reduce((sum, column) => sum + column.size, 0));
      layer.columns.forEach((column, j) => {
        if (column.likelihood !== "categorical") y[column.first] = featureOf(x[j], column);
        else for (let k = 0; k < column.size; k++) y[column.first + k] = Number.isNaN(x[j]) ? NaN : Number(x[j] === k);
      });
      return y;
    },
    clip: (x) => x.map((v) => Math.min(Math.max(v, 0), 1)),
    sigmoid: (x) => x.map(logistic),
    numbers: (x, layer) => {
      const u = x.map((v, j) => {
        const own = v * layer.scale[j] + layer.mean[j], bound = layer.bound[j];
        return layer.shift[j] + (Number.isFinite(bound) ? bound * Math.tanh(own / bound) : own);
      });
      const y = Float64Array.from(u);
      const nLevels = layer.thresholds.length / layer.functions.filter(([f]) => f === "levels").length;
      let j = 0, ordered = 0;
      for (const [name, size] of layer.functions) {
        if (name === "exp") y[j] = Math.exp(u[j]);
        if (name === "sigmoid") y[j] = logistic(u[j]);
        if (name === "softmax") {
          const odds = u.slice(j, j + size).map(Math.exp), sum = odds.reduce((a, b) => a + b, 0);
          y.set(odds.map((v) => v / sum), j);
        }
        if (name === "levels") {
          const own = layer.thresholds.slice(ordered * nLevels, (ordered + 1) * nLevels);
          y[j] = own.reduce((sum, t) => sum + logistic(u[j] - t), 0);
          ordered += 1;
        }
        j += size;
      }
      return Float64Array.from(layer.order, (place) => y[place]);
    },
    scale: (x, layer) => x.map((v, j) => v * layer.scale[j] + layer.mean[j]),
    conv: (x, layer) => {
      const [h, w] = layer.from, [height, width] = layer.size;
      const outputs = layer.bias.length, inputs = x.length / (h * w);
      const y = new Float64Array(outputs * height * width);
      for (let o = 0, at = 0; o < outputs; o++) {
        for (let i = 0; i < height; i++) {
          for (let j = 0; j < width; j++, at++) {
            y[at] = layer.bias[o];
            for (let c = 0; c < inputs; c++) {
              const taps = (o * inputs + c) * 16;
              for (let a = 0; a < 4; a++) {
                const row = 2 * i - 1 + a;
                if (row < 0 || row >= h) continue;
                for (let b = 0; b < 4; b++) {
                  const column = 2 * j - 1 + b;
                  if (column < 0 || column >= w) continue;
                  y[at] += x[(c * h + row) * w + column] * layer.weight[taps + 4 * a + b];
                }
              }
            }
          }
        }
      }
      return y;
    },
    conv_transpose: (x, layer) => {
      const [h, w] = layer.from, [height, width] = layer.size;
      const outputs = layer.bias.length;
      const y = new Float64Array(outputs * height * width);
      for (let o = 0; o < outputs; o++) {
        y.fill(layer.bias[o], o * height * width, (o + 1) * height * width);
      }
      for (let c = 0, at = 0; c < x.length / (h * w); c++) {
        for (let i = 0; i < h; i++) {
          for (let j = 0; j < w; j++, at++) {
            if (x[at] === 0) continue;
            for (let o = 0; o < outputs; o++) {
              const taps = (c * outputs + o) * 16;
              for (let a = 0; a < 4; a++) {
                const row = 2 * i - 1 + a;
                if (row < 0 || row >= height) continue;
                for (let b = 0; b < 4; b++) {
                  const column = 2 * j - 1 + b;
                  if (column < 0 || column >= width) continue;
                  y[(o * height + row) * width + column] += x[at] * layer.weight[taps + 4 * a + b];
                }
              }
            }
          }
        }
      }
      return y;
    },
  };
  const readLayer = (layer) => {
    const read = { ...layer };
    for (const part of ["weight", "bias", "scale", "mean", "values", "low", "width", "bound", "shift", "thresholds", "loadings", "noise"]) {
      if (layer[part]) read[part] = arrayOf(layer[part]);
    }
    return read;
  };
  const through = (layers, input, code) => layers.reduce((x, layer) => {
    const y = kinds[layer.kind](x, layer, code);
    return layer.activation ? y.map(activations[layer.activation]) : y;
  }, input);
  const layers = data.layers.map(readLayer);
  const rotation = layers[0].kind === "rotation" ? layers.shift().weight : null;
  const latentsOf = (code) => Float64Array.from(code, (value, i) => rotation
    ? code.reduce((sum, c, j) => sum + c * rotation[i * code.length + j], 0)
    : value);
  const decode = (components) => {
    const code = latentsOf(components);
    return through(layers, Float64Array.from(code), code);
  };

  // -------------------------------------------------------------------- tools
  const make = (tag, options = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "text") element.textContent = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const draw = (parent, tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const extent = (row) => row.reduce(
    ([i, j], v, k) => [v < row[i] ? k : i, v > row[j] ? k : j], [0, 0],
  );
  const byId = (id) => document.getElementById(id);
  const short = (value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2);
    return String(Number(value.toPrecision(size >= 1000 ? 5 : 3)));
  };
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
  const ticks = (low, high, count) => {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((s) => s * power >= raw);
    const first = Math.ceil(low / step - 1e-9);
    const found = [];
    for (let i = first; i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  };

  // ----------------------------------------------------------------- drawings
  const stage = byId("drawing");
  const scale = arrayOf(data.spread);
  const first = decode(data.centre);
  let own = null;  // a sample that the reader entered
  const curve = () => {
    const x = arrayOf(data.x);
    let [low, high] = data.range;
    const [left, right] = extent(x).map((i) => x[i]);
    const svg = draw(stage, "svg", { role: "img" });
    return (row) => {
      for (const value of [...row, ...(own ?? [])].filter(Number.isFinite)) { low = Math.min(low, value); high = Math.max(high, value); }
      const width = Math.max(260, stage.clientWidth);
      const height = Math.max(190, Math.min(380, 0.55 * width, 0.45 * innerHeight));
      const edge = { left: 52, right: 12, top: 10, bottom: data.x_label ? 42 : 26 };
      const across = (v) => edge.left + (v - left) / (right - left || 1) * (width - edge.left - edge.right);
      const down = (v) => height - edge.bottom - (v - low) / (high - low || 1) * (height - edge.top - edge.bottom);
      const path = (values) => values.reduce((d, v, i) => Number.isNaN(v) ? d
        : d + (i && !Number.isNaN(values[i - 1]) ? "L" : "M") + across(x[i]) + "," + down(v), "");
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      for (const v of ticks(low, high, height / 55)) {
        draw(svg, "line", { class: "axis", x1: edge.left, x2: width - edge.right, y1: down(v), y2: down(v) });
        draw(svg, "text", { x: edge.left - 6, y: down(v) + 4, "text-anchor": "end" }, short(v));
      }
      for (const v of ticks(left, right, width / 90)) {
        draw(svg, "text", { x: across(v), y: height - edge.bottom + 16, "text-anchor": "middle" }, short(v));
      }
      if (data.x_label) draw(svg, "text", { x: width - edge.right, y: height - 6, "text-anchor": "end" }, data.x_label);
      draw(svg, "path", { class: "before", d: path(Array.from(first)) });
      if (own) draw(svg, "path", { class: "own", d: path(Array.from(own)) });
      draw(svg, "path", {
        class: "now", d: path(Array.from(row)),
        "data-low": low, "data-high": high, "data-bottom": down(low), "data-top": down(high),
      });
      const [bottom, top] = extent(row);
      return `highest ${short(row[top])} at ${short(x[top])}, lowest ${short(row[bottom])} at ${short(x[bottom])}`;
    };
  };
  const told = (v, j) => {
    if (data.chances[j]) return `${(100 * v).toFixed(v > 0.0995 && v < 0.9905 ? 0 : 1)} %`;
    const levels = data.levels[j];
    return levels ? levels[Math.min(Math.max(Math.round(v), 0), levels.length - 1)] : short(v);
  };
  const bars = () => {
    const list = make("div", { class: "bars", role: "list", tabindex: "0", "aria-label": "Features of the sample" });
    stage.append(list);
    const lines = data.names.map((name, j) => {
      const fill = make("span", { class: "fill" }), value = make("span", { class: "value" });
      const track = make("span", { class: data.chances[j] ? "track chance" : "track", "aria-hidden": "true" }, fill);
      list.append(make("div", { class: "bar", role: "listitem" }, make("span", { text: name }), track, value));
      return { fill, value };
    });
    return (row) => {
      let most = 0, far = -1;
      lines.forEach(({ fill, value }, j) => {
        const change = scale[j] > 0 ? (row[j] - first[j]) / scale[j] : 0;
        const length = Math.min(Math.abs(change), 4) * 12.5;
        const isChance = data.chances[j];
        fill.style.width = (isChance ? 100 * row[j] : length) + "%";
        fill.style.left = (isChance ? 0 : change < 0 ? 50 - length : 50) + "%";
        fill.style.background = change < 0 ? "var(--low)" : "var(--high)";
        value.textContent = told(row[j], j);
        value.dataset.value = row[j];
        if (Math.abs(change) > far) { far = Math.abs(change); most = j; }
      });
      return far > 0.005 ? `${data.names[most]} differs most from the mean code's sample: ${told(row[most], most)}` : "the sample of the mean code";
    };
  };
  const image = () => {
    const [channels, height, width] = data.image_shape, [low, high] = data.range;
    const canvas = make("canvas", { width, height, role: "img" });
    stage.append(canvas);
    const context = canvas.getContext("2d");
    return (row) => {
      const pixels = context.createImageData(width, height), size = width * height;
      for (let i = 0; i < size; i++) {
        for (let c = 0; c < 3; c++) {
          const value = row[(channels === 3 ? c * size : 0) + i];
          pixels.data[4 * i + c] = Math.round(255 * (value - low) / (high - low || 1));
        }
        pixels.data[4 * i + 3] = 255;
      }
      context.putImageData(pixels, 0, 0);
      const [bottom, top] = extent(row);
      return `values from ${short(row[bottom])} to ${short(row[top])}`;
    };
  };
  const show = { curve, bars, image }[data.kind]();
  byId("caption").textContent = {
    curve: `${data.y_label ? data.y_label + ". " : ""}Solid: the decoded sample. Dashed: the sample of the mean code.`,
    bars: "Bars: difference from the sample of the mean code, in standard deviations of the feature, up to 4. Numbers: original units." +
      (data.chances.includes(true) ? " Bars of levels: their probability." : ""),
    image: "Dark: low values. Bright: high values.",
  }[data.kind];

  // ------------------------------------------------------------------ sliders
  const code = Float64Array.from(data.centre);
  const sliders = [];
  let row, announced;
  const redraw = () => {
    row = decode(code);
    const words = show(row);
    const target = stage.querySelector("[role=img]");
    if (target) target.setAttribute("aria-label", `Decoded sample: ${words}`);
    clearTimeout(announced);
    announced = setTimeout(() => { byId("reading").textContent = words; }, 250);
  };
  const update = (latent, slider, output) => {
    const steps = (code[latent.index] - latent.mean) / latent.step;
    output.textContent = `${signed(steps)} sd`;
    slider.setAttribute("aria-valuetext", `${steps.toFixed(2)} standard deviations`);
  };
  const addSlider = (latent, parent) => {
    const id = `component-${latent.index}`;
    const slider = make("input", {
      type: "range", id, min: -3, max: 3, step: 0.05, value: 0, "aria-describedby": `${id}-text`,
    });
    const output = make("output", { for: id });
    const head = make("div", { class: "head" }, make("label", { for: id, text: capital(latent.name) }), output);
    parent.append(make("div", { class: "slider" }, head, slider, make("p", { id: `${id}-text`, text: capital(latent.sentence) })));
    slider.addEventListener("input", () => {
      code[latent.index] = latent.mean + latent.step * slider.valueAsNumber;
      update(latent, slider, output);
      redraw();
    });
    sliders.push({ latent, slider, output });
  };
  const unused = data.latents.filter((latent) => !latent.is_used);
  for (const latent of data.latents) {
    addSlider(latent, latent.is_used ? byId("sliders") : byId("unused").lastElementChild);
  }
  if (unused.length) {
    byId("unused").hidden = false;
    byId("unused").firstElementChild.textContent =
      `${unused.length} inactive ${unused.length === 1 ? "component" : "components"}`;
  }

  // -------------------------------------------------------------- names and files
  const names = data.latents.map((latent) => latent.name);
  const named = data.latents.map(() => []);
  const showName = (j) => {
    const name = names[j];
    for (const [element, rest] of named[j]) element.textContent = capital(name) + rest;
    const given = names.map((own, i) => [i, own]).filter(([i, own]) => own !== `component ${i}`);
    const pairs = given.map(([i, own]) => `${i}: ${JSON.stringify(own)}`);
    byId("line").value = `vae.set_component_names({${pairs.join(", ")}})`;
  };
  for (const { latent } of sliders) {
    const id = `name-${latent.index}`;
    const input = make("input", { type: "text", id, value: latent.name, maxlength: 60 });
    byId("naming").querySelector("div").append(
      make("div", { class: "name" }, make("label", { for: id, text: `Component ${latent.index}` }), input));
    named[latent.index].push([document.querySelector(`label[for=component-${latent.index}]`), ""]);
    input.addEventListener("input", () => {
      names[latent.index] = input.value.trim() || `component ${latent.index}`;
      showName(latent.index);
    });
  }
  byId("line").addEventListener("focus", (event) => event.target.select());
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const csv = () => {
    const places = data.kind === "curve" ? Array.from(arrayOf(data.x)) : data.kind === "bars" ? data.names : row.map((_, j) => j);
    const lines = [`${quoted(data.x_label || "feature")},"value","value of the mean code"`];
    Array.from(row).forEach((v, j) => lines.push([typeof places[j] === "number" ? places[j] : quoted(places[j]), v, first[j]].join()));
    return lines.join("\r\n") + "\r\n";
  };
  const save = (href, file) => make("a", { href, download: file }).click();
  byId("save-csv").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob(["\ufeff" + csv()], { type: "text/csv" }));
    save(url, "sample.csv");
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  });
  const pictured = () => {
    const own = stage.querySelector("canvas");
    if (own) return Promise.resolve(own.toDataURL("image/png"));
    const svg = stage.querySelector("svg"), copy = svg.cloneNode(true);
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const all = svg.querySelectorAll("*"), copies = copy.querySelectorAll("*");
    all.forEach((element, i) => {
      const style = getComputedStyle(element);
      for (const part of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family"]) {
        copies[i].style.setProperty(part, style.getPropertyValue(part));
      }
    });
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", 2 * width);
    copy.setAttribute("height", 2 * height);
    const text = new XMLSerializer().serializeToString(copy);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    return image.decode().then(() => {
      const canvas = make("canvas", { width: 2 * width, height: 2 * height });
      const context = canvas.getContext("2d");
      context.fillStyle = getComputedStyle(document.body).backgroundColor;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0);
      return canvas.toDataURL("image/png");
    });
  };
  byId("save-png").hidden = data.kind === "bars";
  byId("save-png").addEventListener("click", () => pictured().then((url) => save(url, "sample.png")));

  // -------------------------------------------------------- a sample of one's own
  const splitLine = (line, separator) => {
    const cells = [""];
    let isQuoted = false;
    for (const character of line) {
      const ends = separator === " " ? !character.trim() : character === separator;
      if (character === '"') isQuoted = !isQuoted;
      else if (ends && !isQuoted) cells.push("");
      else cells[cells.length - 1] += character;
    }
    const trimmed = cells.map((cell) => cell.trim());
    return separator === " " ? trimmed.filter(Boolean) : trimmed;
  };
  const cellsOf = (text) => {
    const lines = text.replace(/^\ufeff/, "").split(/\r?\n/).filter((line) => line.trim());
    const separator = ["\t", ";", ","].find((mark) => text.includes(mark)) ?? " ";
    const rows = lines.map((line) => splitLine(line, separator));
    const hasCommas = separator !== "," && !text.includes(".");  // 3,5 is a number, too
    return hasCommas ? rows.map((cells) => cells.map((cell) => cell.replace(/^([-+]?\d+),(\d+)$/, "$1.$2"))) : rows;
  };
  const isNumber = (cell) => cell !== "" && Number.isFinite(Number(cell));
  const isGap = (cell) => ["", "na", "nan", "none", "null", "<na>", "?"].includes(cell.toLowerCase());
  const typed = data.encoder?.before[0]?.kind === "table" ? data.encoder.before[0].columns : null;
  const chosenCells = (rows) => {
    const columns = data.columns, p = columns.length, [head = [], second] = rows;
    const expected = `expected ${p} ${typed ? "values" : "numbers"}: ${columns.slice(0, 5).join(", ")}${p > 5 ? ", …" : ""}.`;
    if (rows.length === p && rows.every((cells) => cells.length === 1)) return rows.flat();
    const places = columns.map((name) => head.indexOf(name));
    const missing = columns.filter((_, j) => places[j] < 0);
    if (second && !missing.length) return places.map((i) => second[i] ?? "");
    if (second && head.some((cell) => !isGap(cell) && !isNumber(cell))) {
      const isSaved = rows.length === p + 1 && head[1] === "value";  // by this page
      if (isSaved && !typed) return rows.slice(1).map((cells) => cells[1] ?? "");
      throw new Error(`The first line has no column ${missing[0]}; ${expected}`);
    }
    const cells = head.length === p ? head : rows.flat();
    if (cells.length !== p) throw new Error(`There are ${cells.length} values; ${expected}`);
    return cells;
  };
  const sameLevel = (cell, level) => cell === level || (isNumber(cell) && isNumber(level) && Number(cell) === Number(level))
    || (["True", "False"].includes(level) && (cell.toLowerCase() === level.toLowerCase() || cell === String(Number(level === "True"))));
  const levelOf = (cell, column) => {
    const found = column.levels.findIndex((level) => sameLevel(cell, level));
    if (found >= 0) return column.level_of[found];
    if (isGap(cell) || data.handles_unknown || column.declared.includes(cell)) return NaN;
    const most = 10, more = column.levels.length > most ? ", …" : "";
    throw new Error(`The column ${column.name} has no level ${cell}; expected one of ${column.levels.slice(0, most).join(", ")}${more}.`);
  };
  const valueOf = (cell, j) => {
    const column = typed?.[j], name = data.columns[j];
    if (column?.levels.length) return levelOf(cell, column);
    if (isGap(cell)) return NaN;
    if (!isNumber(cell)) throw new Error(`The value of the column ${name} is not a number: ${cell}`);
    const isNegative = Number(cell) < 0 && ["lognormal", "poisson", "negative_binomial"].includes(column?.likelihood);
    if (isNegative) throw new Error(`The value of the column ${name} is negative: ${cell}`);
    return Number(cell);
  };
  const parse = (text) => {
    const values = chosenCells(cellsOf(text)).map(valueOf);
    const gap = values.findIndex(Number.isNaN), complete = data.encoder.complete_for;
    if (gap >= 0 && complete) {
      throw new Error(`The column ${data.columns[gap]} has no value; ${complete} needs a complete sample.`);
    }
    return values;
  };
  const encoder = data.encoder && {
    before: data.encoder.before.map(readLayer), fill: data.encoder.fill.map(readLayer), network: data.encoder.network.map(readLayer),
  };
  const solved = (matrix, right) => {
    // Gaussian elimination; the matrix is positive definite.
    const r = right.length, rows = matrix.map((line, i) => [...line, right[i]]);
    for (let i = 0; i < r; i++) {
      for (let k = i + 1; k < r; k++) {
        const factor = rows[k][i] / rows[i][i];
        for (let j = i; j <= r; j++) rows[k][j] -= factor * rows[i][j];
      }
    }
    const x = new Array(r).fill(0);
    for (let i = r - 1; i >= 0; i--) {
      let rest = rows[i][r];
      for (let j = i + 1; j < r; j++) rest -= rows[i][j] * x[j];
      x[i] = rest / rows[i][i];
    }
    return x;
  };
  const filledIn = (rows, { mean, loadings, noise }) => {
    // Expectations of missing values given the others, under factor analysis.
    const r = loadings.length / mean.length;
    const precision = Array.from({ length: r }, (_, a) => Array.from({ length: r }, (_, b) => Number(a === b)));
    const right = new Array(r).fill(0);
    rows.forEach((v, j) => {
      if (Number.isNaN(v)) return;
      for (let a = 0; a < r; a++) {
        const scaled = loadings[j * r + a] / noise[j];
        right[a] += scaled * (v - mean[j]);
        for (let b = 0; b < r; b++) precision[a][b] += scaled * loadings[j * r + b];
      }
    });
    const scores = solved(precision, right);
    return rows.map((v, j) => Number.isNaN(v) ? scores.reduce((sum, s, a) => sum + s * loadings[j * r + a], mean[j]) : v);
  };
  const decoder = layers.slice(0, data.n_decoding - (rotation ? 1 : 0));
  const featuresOf = (row) => {
    // Decoded numbers, in the model's units, as standardised features.
    let j = 0;
    const y = Float64Array.from(row);
    for (const column of typed ?? []) {
      for (let k = 0; k < column.size; k++, j++) y[column.first + k] = featureOf(row[j], column);
    }
    return through(encoder.before.slice(-1), y);
  };
  const N_ROUNDS = 10;
  const codeOf = (rows) => {
    const [fill] = encoder.fill, gaps = rows.map((v) => Number(Number.isNaN(v)));
    if (!gaps.includes(0)) return new Float64Array(data.centre.length);  // the prior
    const encoded = (filled) => through(encoder.network, fill?.has_mask ? Float64Array.from([...filled, ...gaps]) : filled, filled);
    if (fill) return encoded(filledIn(rows, fill));
    let filled = rows.map((v) => Number.isNaN(v) ? 0 : v);
    for (let round = 0; round < N_ROUNDS && gaps.includes(1); round++) {
      const code = latentsOf(encoded(filled)), back = featuresOf(through(decoder, code, code));
      filled = rows.map((v, j) => gaps[j] ? back[j] : v);
    }
    return encoded(filled);
  };
  const encode = (values) => {
    let rows = Float64Array.from(values);
    for (const layer of encoder.before) {
      if (layer.kind === "columns") rows.forEach((v, j) => {
        const n = layer.values.length / layer.low.length, high = layer.low[j] + (n - 1) * layer.width[j];
        if (v < layer.low[j] || v > high) {
          throw new Error(`The value of the column ${data.columns[j] ?? j} is beyond those that the page can transform: ${short(layer.low[j])} to ${short(high)}.`);
        }
      });
      rows = through([layer], rows);
    }
    const found = codeOf(rows);
    if (!found.every(Number.isFinite)) throw new Error("The values are too large to encode.");
    return found;
  };
  const numbersOf = (values) => Float64Array.from(values.flatMap((v, j) => typed?.[j].likelihood !== "categorical" ? [v]
    : Array.from({ length: typed[j].size }, (_, k) => Number.isNaN(v) ? NaN : Number(v === k))));
  const numberNames = () => data.names.length ? data.names : data.columns;
  const errorNote = () => {
    const seen = Array.from(own, (_, j) => j).filter((j) => !Number.isNaN(own[j]));
    if (!seen.length) return "Your sample has no value: its code is the mean of the prior.";
    const error = seen.map((j) => Math.abs(row[j] - own[j]) / (scale[j] || 1));
    const worst = seen[extent(error)[1]], mean = error.reduce((sum, v) => sum + v, 0) / error.length;
    return `Your sample is decoded with an error of ${mean.toFixed(2)} standard deviations of a column on average; `
      + `the largest is in ${numberNames()[worst]}: ${told(own[worst], worst)} is decoded as ${told(row[worst], worst)}.`;
  };
  const gapNote = (values) => {
    let first = 0;
    const found = [];
    values.forEach((v, j) => {
      const size = typed?.[j].size ?? 1, places = Array.from({ length: size }, (_, k) => first + k);
      first += size;
      if (!Number.isNaN(v)) return;
      const best = places[extent(places.map((place) => row[place]))[1]];
      found.push(`${numberNames()[best]} (${told(row[best], best)})`);
    });
    if (!found.length) return "";
    return ` Expected where values are missing: ${found.slice(0, 5).join(", ")}${found.length > 5 ? `, and ${found.length - 5} more` : ""}.`;
  };
  const showOwn = (text) => {
    const note = byId("own-note");
    note.classList.remove("wrong");
    try {
      const values = parse(text), found = encode(values);
      own = numbersOf(values);
      const start = { label: "your sample", code: Array.from(found) };
      if (data.starts.at(-1).label === start.label) data.starts.pop();
      else select.append(make("option", { value: data.starts.length, text: start.label }));
      data.starts.push(start);
      select.value = data.starts.length - 1;
      restart();
      if (data.kind === "curve" && !byId("caption").textContent.includes("Dotted")) {
        byId("caption").textContent += " Dotted: your sample.";
      }
      note.textContent = errorNote() + gapNote(values);
    } catch (error) {
      failed(error);
    }
  };
  const columnText = (name, j) => {
    const levels = typed?.[j].levels ?? [];
    return levels.length ? `${name} (${levels.slice(0, 6).join(", ")}${levels.length > 6 ? ", …" : ""})` : name;
  };
  const valuesOfPicture = async (file) => {
    // Values of an image file, scaled to the size of the model's images.
    const [channels, height, width] = data.image_shape, [low, high] = data.range, size = width * height;
    if (channels !== 1 && channels !== 3) {
      throw new Error(`A picture has one channel or three, the model's images have ${channels}. Enter their values.`);
    }
    const context = make("canvas", { width, height }).getContext("2d");
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(await createImageBitmap(file), 0, 0, width, height);
    const { data: pixels } = context.getImageData(0, 0, width, height);
    const valueOf = (level) => low + (high - low) * level / 255;
    return Array.from({ length: channels * size }, (_, at) => {
      const i = 4 * (at % size);
      if (channels === 3) return valueOf(pixels[i + Math.floor(at / size)]);
      return valueOf(0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2]);
    });
  };
  const textOf = async (file) => {
    if (data.kind !== "image" || !file.type.startsWith("image/")) return file.text();
    return (await valuesOfPicture(file)).join(" ");
  };
  const failed = (error) => {
    byId("own-note").classList.add("wrong");
    byId("own-note").textContent = error.message;
  };
  if (encoder) {
    byId("own").hidden = false;
    byId("own-picture").hidden = data.kind !== "image";
    if (data.kind === "image") byId("own-file").accept += ",image/*";
    byId("own-gaps").hidden = Boolean(data.encoder.complete_for);
    byId("own-names").textContent = data.columns.length > 30
      ? `${data.columns.length}, from ${data.columns[0]} to ${data.columns.at(-1)}` : data.columns.map(columnText).join(", ");
    byId("own-show").addEventListener("click", () => showOwn(byId("own-text").value));
    byId("own-file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      if (!file) return;
      textOf(file).then((text) => {
        byId("own-text").value = text;
        showOwn(text);
      }).catch(failed);
    });
  }

  const select = byId("start");
  data.starts.forEach(({ label }, i) => select.append(make("option", { value: i, text: label })));
  select.value = data.first_start;
  const restart = () => {
    code.set(data.starts[select.value].code);
    for (const { latent, slider, output } of sliders) {
      slider.value = (code[latent.index] - latent.mean) / latent.step;
      update(latent, slider, output);
    }
    redraw();
  };
  select.addEventListener("change", restart);
  byId("reset").addEventListener("click", restart);

  // ----------------------------------------------------- table, training, stability
  const cells = (tag, values) => values.map((value) => {
    const isNumber = typeof value === "number";
    return make(tag, { text: isNumber ? short(value) : value ?? "—", ...(isNumber ? { class: "number" } : {}) });
  });
  const table = (caption, head, lines) => make("table", {},
    make("caption", { text: caption }),
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", {
      scope: "col", text, ...(typeof lines[0][i] === "number" ? { class: "number" } : {}),
    })))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...cells("td", line)))));
  const titled = (latent) => {
    const name = make("span", { text: capital(latent.name) });
    named[latent.index].push([name, ""]);
    return [name, ` ${latent.sentence}`];
  };
  for (const latent of data.latents) {
    const facts = latent.share === null ? [] : [`${Math.round(100 * latent.share)} % of the variance`];
    if (latent.kl !== null) facts.unshift(`${latent.kl.toFixed(2)} nats`);
    const caption = [facts.join(", "), "features with the largest effects"].filter(Boolean).join("; ");
    byId("table").append(make("details", latent.is_used && latent.index < 3 ? { open: "" } : {},
      make("summary", {}, ...titled(latent)),
      table(caption, ["Feature", "at 2.5 %", "at 97.5 %", "Share of its variance", "Direction"],
        latent.features.map((f) => [f.name, f.low, f.high, f.share, f.direction]))));
  }
  if (data.health) {
    byId("health").hidden = false;
    for (const [, isWell, message] of data.health.marks) {
      byId("marks").append(make("li", isWell ? {} : { class: "warns" },
        make("span", { class: "sign", role: "img", "aria-label": isWell ? "fine" : "warning", text: isWell ? "✓" : "!" }),
        make("span", { text: message })));
    }
    const steps = data.health.history.step;
    for (const [term, values] of Object.entries(data.health.history)) {
      const known = values.filter((v) => v !== null);
      if (term === "step" || !known.length) continue;
      const low = Math.min(...known), high = Math.max(...known);
      const label = `${data.health.titles[term] ?? term.replaceAll("_", " ")}: ${short(known[0])} → ${short(known[known.length - 1])}`;
      const figure = make("figure");
      const svg = draw(figure, "svg", { class: "spark", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": label });
      const place = (v, i) => [100 * (steps[i] - steps[0]) / (steps[steps.length - 1] - steps[0] || 1), 38 - 36 * (v - low) / (high - low || 1)];
      let d = "";
      values.forEach((v, i) => { if (v !== null) d += (d ? "L" : "M") + place(v, i).join(); });
      draw(svg, "path", { d });
      figure.append(make("figcaption", { text: label }));
      byId("history").append(figure);
    }
  }
  if (data.stability) {
    const section = byId("stability");
    section.hidden = false;
    section.querySelector("p").textContent = data.stability.note;
    for (const { name, median } of data.stability.components) {
      section.querySelector("ul").append(make("li", {},
        make("span", { text: capital(name) }),
        make("meter", { min: 0, max: 1, value: median, "aria-label": `${capital(name)}: agreement ${median.toFixed(2)}` }),
        make("span", { class: "number", text: median.toFixed(2) })));
    }
  }
  let shown = 0;
  new ResizeObserver(() => {
    if (stage.clientWidth !== shown) { shown = stage.clientWidth; redraw(); }
  }).observe(stage);
  restart();
  data.latents.forEach((_, j) => showName(j));
  globalThis.explorer = { get code() { return Array.from(code); }, get row() { return Array.from(row); }, csv, pictured };
})();
