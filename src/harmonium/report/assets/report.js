"use strict";
/* Charts that share one crosshair and one zoom, and pictures that change with a slider. */
(() => {
  const read = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const number = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace("-", "−");
    const digits = size >= 1000 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
    return value.toLocaleString("en-US", {
      minimumFractionDigits: digits, maximumFractionDigits: digits,
    }).replace("-", "−");
  };
  const shown = (panel, value) => panel.share ? `${number(100 * value)} %` : number(value);
  const plain = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 2 });

  /* Curves */

  // One table of all runs of a panel: the epochs of all of them, and gaps where a run has no row.
  function tableOf(content, panel) {
    const tables = panel.curves.map((curve) => {
      const x = content.runs[curve.run].epoch;
      const bounds = curve.error === null ? [] : [1, -1].map((sign) => curve.y.map(
        (y, i) => y === null || curve.error[i] === null ? null : y + sign * curve.error[i]));
      return [x, curve.y, ...bounds];
    });
    return content.runs.length > 1
      ? uPlot.join(tables)
      : [tables[0][0], ...tables.flatMap((table) => table.slice(1))];
  }

  function drawCharts(box) {
    const content = read(box.dataset.charts);
    const [legend, grid] = [box.querySelector(".legend"), box.querySelector(".grid")];
    const charts = [];
    const key = `sync-${box.dataset.charts}`;
    const several = content.runs.length > 1;
    const last = Math.max(...content.runs.flatMap((run) => run.epoch.slice(-1)));
    const first = Math.min(...content.runs.map((run) => run.epoch[0]));
    const hiddenCurves = new Set();
    let zoom = null;

    const where = make("span", "where");
    const reset = make("button", "reset", "Show all");
    reset.type = "button";
    reset.hidden = true;
    reset.addEventListener("click", () => zoomTo(null));

    function zoomTo(range) {
      const whole = first === last ? [first - 0.5, last + 0.5] : [first, last];
      if (range !== null) {
        range = [Math.max(whole[0], range[0]), Math.min(whole[1], range[1])];
        if (range[0] <= whole[0] && range[1] >= whole[1]) range = null;
      }
      zoom = range;
      reset.hidden = range === null;
      const [min, max] = range ?? whole;
      for (const chart of charts) chart.plot.setScale("x", { min, max });
      box.dataset.zoom = range === null ? "" : `${min} ${max}`;
    }

    function say(epoch, update) {
      where.textContent = `epoch ${plain(epoch)}` + (several ? "" : ` · update ${plain(update)}`);
    }

    // What a chart says at its crosshair, or at the end where nobody points at it.
    function tell(chart) {
      const { plot, panel, values } = chart;
      values.replaceChildren(...panel.curves.map((curve, c) => {
        const series = chart.series[c];
        let index = plot.cursor.idxs?.[series] ?? null;
        if (index === null) {
          index = plot.data[series].length - 1;
          while (index > 0 && plot.data[series][index] == null) index -= 1;
        }
        const value = plot.data[series][index];
        const node = make("span");
        node.dataset.key = curve.key;
        node.hidden = hiddenCurves.has(curve.colour);
        const mark = make("i", curve.dashed ? "dashed" : "");
        mark.style.background = `var(--${curve.colour})`;
        const name = several
          ? [content.runs[curve.run].name, curve.label].filter(Boolean).join(", ")
          : curve.label;
        node.append(mark);
        // the legend names runs; their names would fill the small charts
        if (name && (!several || chart === charts[0])) node.append(`${name} `);
        else node.title = name;
        if (value == null) return node;
        node.dataset.value = value;
        node.append(make("b", "", shown(panel, value)));
        if (curve.error !== null) {
          const upper = plot.data[series + 1][index];
          if (upper != null) node.append(` ± ${shown(panel, upper - value)}`);
        }
        const at = plot.data[0][index], { epoch } = content.runs[curve.run];
        if (curve.doubtful.some((row) => epoch[row] === at)) {
          node.append(make("em", "doubt", " not to be trusted"));
        }
        return node;
      }));
    }

    function build(chart) {
      const { panel, place } = chart;
      const series = [{}], bands = [];
      chart.series = [];
      for (const curve of panel.curves) {
        const stroke = colour(curve.colour);
        chart.series.push(series.length);
        const few = content.runs[curve.run].epoch.length <= 40;
        series.push({
          label: curve.key, stroke, width: 2, spanGaps: true,
          dash: curve.dashed ? [6, 4] : undefined,
          show: !hiddenCurves.has(curve.colour),
          points: { show: few, size: 5, fill: stroke },
        });
        if (curve.error !== null) {
          const at = series.length;
          const bound = {
            stroke: "transparent", width: 0, spanGaps: true, points: { show: false },
            show: !hiddenCurves.has(curve.colour),
          };
          series.push({ ...bound, label: "upper" }, { ...bound, label: "lower" });
          bands.push({ series: [at, at + 1], fill: `${stroke}${several ? "1c" : "2b"}` });
        }
      }
      const ink = colour("muted");
      const axis = {
        stroke: ink, font: "12px system-ui, sans-serif",
        grid: { stroke: colour("line"), width: 1 },
        ticks: { show: false },
      };
      const ticks = (plot, splits) => splits.map(
        (value) => value === null ? "" : panel.share ? `${plain(100 * value)} %`
          : panel.log ? value.toExponential(0).replace("-", "−") : short(value, splits));
      // of a logarithmic axis, the powers of ten
      const powers = (plot, splits) => !panel.log ? splits : splits.map(
        (value) => Number.isInteger(Math.round(1e6 * Math.log10(value)) / 1e6) ? value : null);
      const options = {
        ...sizeOf(chart),
        legend: { show: false },
        scales: {
          x: { time: false },
          y: {
            distr: panel.log ? 3 : 1,
            range: panel.log ? undefined : (plot, min, max) => rangeOf(panel, min, max),
          },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 30, gap: 4,
            ...(chart === charts[0] && { label: "epoch", labelSize: 20, labelFont: axis.font }),
            values: (plot, splits) => splits.map(plain) },
          { ...axis, size: 58, gap: 6, values: ticks, grid: { ...axis.grid, filter: powers },
            filter: powers },
        ],
        series, bands,
        padding: [8, 10, 0, 0],
        cursor: {
          y: false,
          points: { size: 8 },
          drag: { x: true, y: false, setScale: false, dist: 6 },
          sync: { key, scales: ["x", null], setSeries: false,
            filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
          bind: { dblclick: () => () => { zoomTo(null); return null; } },
          // where a run has no row, its nearest one is meant
          dataIdx: (plot, s, index) => nearest(plot.data[s], plot.data[0], index),
        },
        hooks: {
          setCursor: [(plot) => {
            const index = plot.cursor.idx;
            if (index === null || index === undefined) {
              rest();
            } else {
              say(plot.data[0][index], content.runs[0].update[index]);
            }
            tell(chart);
          }],
          setSelect: [(plot) => {
            const { left, width } = plot.select;
            if (width >= 6) {
              const range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
              plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
              zoomTo(range);
            }
          }],
        },
      };
      if (panel.zero) {
        options.hooks.drawAxes = [(plot) => {
          const y = plot.valToPos(0, "y", true);
          const { left, top, width, height } = plot.bbox;
          if (y < top || y > top + height) return;
          plot.ctx.fillStyle = ink;
          plot.ctx.fillRect(left, Math.round(y), width, Math.max(1, devicePixelRatio));
        }];
      }
      if (panel.curves.some((curve) => curve.doubtful.length)) {
        options.hooks.drawClear = [(plot) => shade(plot, panel)];
      }
      chart.plot = new uPlot(options, chart.table, place);
      touch(chart.plot, zoomTo);
    }

    // Stretches whose numbers are not to be trusted, half way to the rows before and after.
    function shade(plot, panel) {
      const { left, top, width, height } = plot.bbox, place = (x) => plot.valToPos(x, "x", true);
      const rows = new Map();
      for (const curve of panel.curves) {
        if (hiddenCurves.has(curve.colour)) continue;
        const shadow = several ? `${colour(curve.colour)}1c` : `${colour("muted")}26`;
        for (const row of curve.doubtful) {
          rows.set(`${curve.run} ${row}`, [curve.run, row, shadow]);
        }
      }
      plot.ctx.save();
      for (const [run, row, shadow] of rows.values()) {
        plot.ctx.fillStyle = shadow;
        const { epoch } = content.runs[run], here = epoch[row];
        const begin = place((here + (epoch[row - 1] ?? here)) / 2);
        const end = place((here + (epoch[row + 1] ?? here)) / 2);
        const from = Math.max(left, begin), to = Math.min(left + width, Math.max(end, begin + 2));
        if (to > from) plot.ctx.fillRect(from, top, to - from, height);
      }
      plot.ctx.restore();
    }

    function rest() {
      const { epoch, update } = content.runs[0];
      if (several) where.textContent = "";
      else say(epoch.at(-1), update.at(-1));
    }

    function drawAll() {
      for (const chart of charts) {
        chart.plot?.destroy();
        build(chart);
      }
      zoomTo(zoom);
      charts.forEach(tell);
      rest();
    }

    // One legend for all charts: of a run's two kinds of rows, or of the runs.
    const chips = new Map();
    for (const panel of content.panels) {
      for (const curve of panel.curves) {
        const name = several ? content.runs[curve.run].name : curve.label;
        const isShared = several || ["training", "held-out"].includes(curve.label);
        if (isShared && !chips.has(curve.colour)) chips.set(curve.colour, name);
      }
    }
    for (const [name, label] of chips) {
      const chip = make("button", "chip");
      chip.type = "button";
      chip.setAttribute("aria-pressed", "true");
      const mark = make("i");
      mark.style.background = `var(--${name})`;
      chip.append(mark, label);
      chip.addEventListener("click", () => {
        const hide = !hiddenCurves.has(name);
        hiddenCurves[hide ? "add" : "delete"](name);
        chip.setAttribute("aria-pressed", String(!hide));
        drawAll();
      });
      legend.append(chip);
    }
    legend.append(where, reset);

    for (const panel of content.panels) {
      const node = make("div", "chart");
      const heading = make("h3", "", panel.title);
      heading.append(make("span", "", panel.unit));
      const meaning = make("details", "term");
      if (panel.explained) {
        const asked = make("summary", "", "what is this?");
        asked.setAttribute("aria-label", `What is ${panel.title}?`);
        meaning.append(asked, make("p", "", panel.explained));
      }
      const values = make("div", "values"), place = make("div", "plot");
      const doubts = panel.curves.some((curve) => curve.doubtful.length)
        ? [make("p", "doubts", "Shaded: not to be trusted; the chains do not reach all modes.")] : [];
      node.append(heading, values, place, ...doubts, ...(panel.explained ? [meaning] : []));
      grid.append(node);
      charts.push({ panel, place, values, table: tableOf(content, panel), node });
    }
    drawAll();
    new ResizeObserver(() => {
      for (const chart of charts) {
        const size = sizeOf(chart);
        if (size.width !== chart.plot.width) chart.plot.setSize(size);
      }
    }).observe(grid);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
    box.charts = charts;
  }

  const sizeOf = (chart) => {
    const width = Math.max(120, Math.floor(chart.place.clientWidth));
    return { width, height: chart.node.matches(":first-child") ? (width < 500 ? 230 : 300) : 180 };
  };

  function rangeOf(panel, min, max) {
    if (min === null || max === null) return [0, 1];
    let low = panel.share ? 0 : min, high = max;
    if (panel.zero) [low, high] = [Math.min(0, low), Math.max(0, high)];
    const pad = 0.06 * (high - low) || 0.5 * Math.abs(high) || 0.01;
    return [panel.share ? 0 : low - pad, high + pad];
  }

  function short(value, splits) {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : Math.abs(value);
    const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step || 1) - 1e-9)));
    return value.toFixed(digits).replace("-", "−");
  }

  function nearest(values, x, index) {
    if (values[index] != null) return index;
    let [below, above] = [index, index];
    while (below >= 0 && values[below] == null) below -= 1;
    while (above < values.length && values[above] == null) above += 1;
    if (below < 0 && above === values.length) return index;
    if (below < 0) return above;
    if (above === values.length) return below;
    return x[index] - x[below] <= x[above] - x[index] ? below : above;
  }

  // A finger that is drawn across zooms, one that touches points, two that part zoom; up and down
  // stays the page's.
  function touch(plot, zoomTo) {
    const over = plot.over, fingers = new Map();
    let start = null, pinch = null;
    const at = (event) => event.clientX - over.getBoundingClientRect().left;
    const point = (left) => plot.setCursor({ left, top: over.clientHeight / 2 }, true, true);
    const span = () => {
      const [a, b] = [...fingers.values()];
      return { middle: (a + b) / 2, width: Math.max(10, Math.abs(a - b)) };
    };
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      over.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      if (fingers.size === 1) start = at(event);
      if (fingers.size === 2) {
        const { min, max } = plot.scales.x;
        pinch = { ...span(), min, max };
        start = null;
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }
    });
    over.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, at(event));
      if (fingers.size === 2 && pinch) {
        const now = span(), scale = pinch.width / now.width;
        const centre = pinch.min + (pinch.max - pinch.min) * pinch.middle / over.clientWidth;
        zoomTo([centre - (centre - pinch.min) * scale, centre + (pinch.max - centre) * scale]);
      } else if (fingers.size === 1 && start !== null) {
        const left = at(event);
        point(left);
        plot.setSelect({
          left: Math.min(start, left), width: Math.abs(left - start),
          top: 0, height: over.clientHeight,
        }, false);
      }
    });
    const end = (event) => {
      if (!fingers.delete(event.pointerId)) return;
      if (start !== null && event.type === "pointerup") {
        const left = at(event);
        if (Math.abs(left - start) >= 12) plot.setSelect(plot.select, true);
        else point(left);
      }
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      start = null;
      if (fingers.size < 2) pinch = null;
    };
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
  }

  /* Pictures */

  function runPlayer(box) {
    const { tracks, labels } = read(box.dataset.player);
    const images = [...box.querySelectorAll("img[data-track]")];
    const [button, slider, output] =
      ["button", "input", "output"].map((tag) => box.querySelector(tag));
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    let timer = null, seen = false, wanted = "autoplay" in box.dataset && !calm.matches;

    function show(time) {
      slider.value = time;
      output.textContent = labels[time];
      slider.setAttribute("aria-valuetext", labels[time]);
      images.forEach((image, i) => {
        const source = tracks[i].frames[tracks[i].shown[time]];
        if (image.src !== source) image.src = source;
      });
    }
    function step() {
      show((Number(slider.value) + 1) % labels.length);
    }
    function update() {
      const run = wanted && seen && labels.length > 1;
      if (run && timer === null) timer = setInterval(step, labels.length > 34 ? 120 : 260);
      if (!run && timer !== null) {
        clearInterval(timer);
        timer = null;
      }
      button.textContent = wanted ? "Pause" : "Play";
      button.setAttribute("aria-pressed", String(wanted));
    }
    button.addEventListener("click", () => {
      wanted = !wanted;
      update();
    });
    slider.addEventListener("input", () => {
      wanted = false;
      update();
      show(Number(slider.value));
    });
    // what nobody sees does not play
    new IntersectionObserver((entries) => {
      seen = entries.at(-1).isIntersecting;
      update();
    }).observe(box);
    show(Number(slider.value));
    update();
    if (labels.length < 2) box.querySelector(".controls").hidden = true;
  }

  // A pixel of a sheet takes a whole number of the screen's, unless that leaves much room empty.
  function fit(image) {
    if (!image.naturalWidth) return;
    const room = image.parentElement.clientWidth
      - parseFloat(getComputedStyle(image.parentElement).paddingLeft) * 2;
    const most = Math.min(room, 480);
    const zoom = Math.floor(most * devicePixelRatio / image.naturalWidth);
    const crisp = zoom * image.naturalWidth / devicePixelRatio;
    const fits = crisp > 0.75 * most;
    image.style.width = `${fits ? crisp : most}px`;
    image.style.imageRendering = fits || zoom > 3 ? "" : "auto";
  }

  document.querySelectorAll("[data-charts]").forEach(drawCharts);
  document.querySelectorAll("[data-player]").forEach(runPlayer);
  const sheets = [...document.querySelectorAll("img.sheet")];
  const fitAll = () => sheets.forEach(fit);
  sheets.forEach((image) => image.addEventListener("load", () => fit(image), { once: true }));
  addEventListener("resize", fitAll);
  fitAll();
})();
