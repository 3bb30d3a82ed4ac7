"use strict";

// Tables are sorted by the column whose heading is chosen; a second time the other way round. What has no
// value comes last either way.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    const sort = () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
      rows.sort(([a], [b]) => compare(a, b, up));
      body.append(...rows.map(([, row]) => row));
    };
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  });
}

function valueOf(cell) {
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent;
  return value === "" ? null : Number(value);
}

function compare(a, b, up) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order =
    typeof a === "number" && typeof b === "number"
      ? (a > b) - (a < b)
      : String(a).localeCompare(String(b), undefined, { numeric: true });
  return up ? order : -order;
}

// The values of a chart's lines at the pointer.
for (const svg of document.querySelectorAll("svg[data-chart]")) {
  const chart = JSON.parse(svg.dataset.chart);
  const figure = svg.closest("figure");
  const group = svg.querySelector(".pointer");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  svg.addEventListener("pointermove", (event) => show(event));
  svg.addEventListener("pointerdown", (event) => show(event));
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    group.replaceChildren();
  });

  const show = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const near = chart.lines.map((line) => nearest(line.points, place.x));
    const at = near.reduce((a, b) => (Math.abs(b[0] - place.x) < Math.abs(a[0] - place.x) ? b : a));
    const drawn = [shape("line", { x1: at[0], x2: at[0], y1: chart.top, y2: chart.bottom })];
    tip.replaceChildren(text("div", `${chart.x}: ${at[2]}`));
    chart.lines.forEach((line, k) => {
      // A line that has ended elsewhere is not read here.
      if (Math.abs(near[k][0] - at[0]) > 30) return;
      drawn.push(shape("circle", { cx: near[k][0], cy: near[k][1], r: 3.5, class: line.class }));
      const row = text("div", "");
      const key = document.createElement("i");
      key.className = line.class;
      row.append(key, `${line.name} `, text("b", near[k][3]));
      tip.append(row);
    });
    group.replaceChildren(...drawn);
    tip.hidden = false;
    const box = figure.getBoundingClientRect();
    const left = event.clientX - box.left;
    tip.style.top = `${event.clientY - box.top + 14}px`;
    tip.style.left = `${Math.max(0, left + tip.offsetWidth + 14 > box.width ? left - tip.offsetWidth - 10 : left + 14)}px`;
  };
}

function nearest(points, x) {
  return points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
}

function shape(name, attributes) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}

function text(name, content) {
  const found = document.createElement(name);
  found.textContent = content;
  return found;
}

// Pictures open large; the arrow keys go through those of the same row, at the same place.
const viewer = document.createElement("dialog");
const large = document.createElement("img");
const caption = document.createElement("p");
viewer.append(large, caption);
document.body.append(viewer);
let shots = [];
let shown = 0;

function enlarge(index) {
  shown = (index + shots.length) % shots.length;
  large.src = shots[shown].src;
  large.alt = shots[shown].alt;
  large.classList.toggle("small", shots[shown].classList.contains("small"));
  const more = shots.length > 1 ? `   (${shown + 1} of ${shots.length}: arrow keys)` : "";
  caption.textContent = shots[shown].alt + more;
}

for (const shot of document.querySelectorAll("img.shot, img.sheet")) {
  shot.addEventListener("click", () => {
    shots = [...(shot.closest(".view") ?? shot.parentElement).querySelectorAll("img.shot, img.sheet")];
    enlarge(shots.indexOf(shot));
    viewer.showModal();
  });
}
viewer.addEventListener("click", () => viewer.close());
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") enlarge(shown + 1);
  if (event.key === "ArrowLeft") enlarge(shown - 1);
});
