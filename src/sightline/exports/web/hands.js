// Mouse, wheel, touch, keyboard and the bar.

/** Let hands move a viewer's scene. */
function listen(viewer) {
  const { canvas, orbit } = viewer, fingers = new Map();
  const change = (what) => { what(); viewer.touch(); };
  const size = () => Math.min(canvas.clientWidth, canvas.clientHeight);

  canvas.addEventListener("pointerdown", (event) => {
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY], others = [...fingers].filter(([id]) => id !== event.pointerId);
    fingers.set(event.pointerId, now);
    const across = (now[0] - before[0]) / size(), down = (now[1] - before[1]) / size();
    if (others.length) {
      // Two fingers: their middle pans, their distance zooms.
      const [, other] = others[0];
      const gap = (p) => Math.max(10, Math.hypot(p[0] - other[0], p[1] - other[1]));
      change(() => { orbit.pan(-0.5 * across, 0.5 * down); orbit.approach(gap(before) / gap(now)); });
    } else if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) {
      change(() => orbit.pan(-across, down));
    } else {
      change(() => orbit.turn(-4 * across, 4 * down));
    }
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1;
    change(() => orbit.approach(Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines / 700)))));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => {
    const box = canvas.getBoundingClientRect();
    viewer.recentre(event.clientX - box.left, event.clientY - box.top);
  });
  window.addEventListener("resize", () => viewer.touch());
  listenToKeys(viewer, change);
  listenToBar(viewer);
  listenToLoss(viewer);
}

function listenToKeys(viewer, change) {
  const { orbit } = viewer, step = 0.06;
  const keys = {
    ArrowLeft: () => orbit.turn(-step, 0), ArrowRight: () => orbit.turn(step, 0),
    ArrowUp: () => orbit.turn(0, step), ArrowDown: () => orbit.turn(0, -step),
    "+": () => orbit.approach(0.92), "=": () => orbit.approach(0.92), "-": () => orbit.approach(1 / 0.92),
    a: () => orbit.pan(-step, 0), d: () => orbit.pan(step, 0), w: () => orbit.pan(0, step), s: () => orbit.pan(0, -step),
    r: () => viewer.visit(viewer.scene.opening), n: () => next(viewer, 1), p: () => next(viewer, -1),
    f: fullScreen,
  };
  window.addEventListener("keydown", (event) => {
    const asked = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!asked || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    event.preventDefault();
    change(asked);
  });
}

function next(viewer, step) {
  const { length } = viewer.scene.cameras;
  viewer.visit((viewer.current + step + length) % length);
  document.getElementById("cameras").value = viewer.current;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function listenToBar(viewer) {
  const find = (id) => document.getElementById(id), { cameras, opening } = viewer.scene;
  cameras.forEach(({ name, split }, index) => {
    const option = new Option(split ? `${split}: ${name}` : name, index);
    find("cameras").append(option);
  });
  find("cameras").value = opening;
  find("cameras").addEventListener("change", (event) => { viewer.visit(Number(event.target.value)); event.target.blur(); });
  find("quality").addEventListener("change", (event) => {
    viewer.quality = event.target.value;
    viewer.touch();
    event.target.blur();
  });
  find("reset").addEventListener("click", () => { viewer.visit(opening); find("cameras").value = opening; });
  find("full").addEventListener("click", fullScreen);
}

/** A lost graphics context comes back: the scene is unpacked again. */
function listenToLoss(viewer) {
  viewer.canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    viewer.ready = false;
    say("The graphics card was taken away; the scene comes back with it.");
  });
  viewer.canvas.addEventListener("webglcontextrestored", () => {
    viewer.renderer.targets = {};
    viewer.load().then(() => { say(""); viewer.touch(); }).catch(fail);
  });
}

main();
