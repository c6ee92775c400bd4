"use strict";
(() => {
  const root = document.documentElement;
  const source = document.getElementById("charts");
  const charts = source ? JSON.parse(source.textContent) : [];
  const boxes = [...document.querySelectorAll("[data-chart]")];
  const chartOf = new Map(boxes.map((box, place) => [box, charts[place]]));
  const roles = { "#0072b2": "real", "#d55e00": "synthetic", "#767676": "other", "rgba(0,114,178,0.22)": "shade" };

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const swapped = (value) => (value in roles ? colour(roles[value]) : value);

  // Charts have the colours of the light theme, which are replaced in the dark theme.
  function recoloured(trace) {
    const copy = { ...trace };
    for (const part of ["line", "marker", "error_x"]) {
      if (copy[part]?.color) copy[part] = { ...copy[part], color: swapped(copy[part].color) };
    }
    if (copy.fillcolor) copy.fillcolor = swapped(copy.fillcolor);
    return copy;
  }

  function axis(given) {
    const font = given?.tickfont && { tickfont: { size: given.tickfont.size - (root.classList.contains("paper") ? 3 : 0) } };
    return {
      fixedrange: true, automargin: true, gridcolor: colour("grid"), zerolinecolor: colour("rule"),
      linecolor: colour("rule"), ...given, ...font, title: { ...given?.title, standoff: 6 },
    };
  }

  function dressed(layout, box, small) {
    const scale = [[0, colour("least")], [0.5, colour("middle")], [1, colour("most")]];
    const ends = layout.coloraxis;
    const size = (small ? 10 : 12) - (root.classList.contains("paper") ? 2 : 0);
    if (ends && ends.cmin >= 0) scale.splice(0, 3, [0, colour("middle")], [1, colour("most")]);
    return {
      ...layout, width: box.clientWidth, height: box.clientHeight, dragmode: false, barmode: "group", bargap: 0.25,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("sans"), size, color: colour("ink") },
      margin: { l: 40, r: 10, t: layout.showlegend === false ? 8 : small ? 22 : 30, b: 6 },
      legend: { orientation: "h", x: 0, y: 1, xanchor: "left", yanchor: "bottom", itemclick: false, itemdoubleclick: false },
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("rule"), font: { color: colour("ink") }, align: "left" },
      xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
      ...(ends && { coloraxis: { ...ends, colorscale: scale, colorbar: { thickness: 8, len: 0.8, outlinewidth: 0, ...ends.colorbar } } }),
    };
  }

  function draw(box) {
    const chart = chartOf.get(box);
    const small = box.parentElement.className === "small";
    const layout = dressed(chart.layout, box, small);
    Plotly.react(box, chart.data.map(recoloured), layout, { displayModeBar: false, doubleClick: false });
    box.dataset.drawn = "";
  }

  // Charts are drawn when they are scrolled near: hundreds of charts at once would take many seconds.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !("drawn" in entry.target.dataset)) draw(entry.target);
    }
  }, { rootMargin: "400px" });

  function refresh() {
    near.disconnect();
    for (const box of boxes) {
      delete box.dataset.drawn;
      near.observe(box);
    }
  }

  function onPaper(yes) {
    root.classList.toggle("paper", yes);
    for (const details of document.querySelectorAll("details[data-print]")) {
      if (yes) details.dataset.print = details.open ? "open" : "folded";
      details.open = yes || details.dataset.print === "open";
    }
    if (yes) boxes.forEach(draw);
    else refresh();
  }

  let waiting = 0;
  let width = root.clientWidth;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (root.clientWidth !== width && !root.classList.contains("paper")) refresh();
      width = root.clientWidth;
    }, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));
  // Plotly measures texts when it draws them, so that the font must be there.
  document.fonts.load("1em Inter").finally(() => boxes.forEach((box) => near.observe(box)));

  function row(cells, name) {
    const line = document.createElement("tr");
    cells.forEach((value, place) => {
      const cell = document.createElement(name === "th" || place === 0 ? "th" : "td");
      if (cell.tagName === "TH") cell.scope = name === "th" ? "col" : "row";
      cell.textContent = value ?? "—";
      line.append(cell);
    });
    return line;
  }

  function fillTable(details) {
    const box = details.parentElement.querySelector("[data-chart]");
    const { head, rows } = chartOf.get(box);
    const table = document.createElement("table");
    table.createCaption().textContent = box.parentElement.querySelector("figcaption").textContent;
    table.createTHead().append(row(head, "th"));
    table.createTBody().append(...rows.map((cells) => row(cells, "td")));
    details.append(table);
  }
  for (const details of document.querySelectorAll("details.table")) {
    details.addEventListener("toggle", () => fillTable(details), { once: true });
  }

  function sort(header) {
    const table = header.closest("table");
    const place = header.cellIndex;
    const up = header.getAttribute("aria-sort") !== "ascending";
    const key = (line) => {
      const cell = line.cells[place];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const order = (a, b) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      const less = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return up ? less : -less;
    };
    const lines = [...table.tBodies[0].rows].sort((a, b) => order(key(a), key(b)));
    table.tBodies[0].append(...lines);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
  }
  for (const button of document.querySelectorAll(".sortable button")) {
    button.addEventListener("click", () => sort(button.parentElement));
  }

  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const passed = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      for (const [name, link] of links) link.toggleAttribute("aria-current", name === entry.target.id);
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => passed.observe(section));
})();
