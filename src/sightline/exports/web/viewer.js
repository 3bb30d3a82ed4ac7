// The page: loads the scene, draws it as hands move it, and says what goes wrong.

const STILL_AFTER = 120;           // milliseconds without a move before the picture is drawn in full
// Milliseconds of a frame, resolution of a still picture, cells between samples in motion and at rest.
const QUALITIES = {
  fast: { frame: 25, still: 0.6, moving: 2.5, stride: 2 },
  normal: { frame: 33, still: 1, moving: 2, stride: 1.5 },
  fine: { frame: 50, still: 2, moving: 1.5, stride: 1 },
};
const LEAST_SCALE = 0.12;

class Viewer {
  constructor(scene) {
    this.scene = scene;
    this.canvas = document.getElementById("view");
    this.orbit = new Orbit(scene.up);
    this.quality = "normal";
    this.scale = 0.5;              // of the resolution while things move
    this.moved = 0;                // when something last changed
    this.rows = 0;                 // of the full picture that are drawn
    this.dirty = true;
    this.current = scene.opening;
    this.renderer = new Renderer(this.canvas, scene, document.getElementById("marcher").textContent);
  }

  async load() {
    const text = document.getElementById("voxels").textContent;
    this.renderer.load(await decodeScene(this.scene, text, pause));
    this.ready = true;
  }

  /** Go to a camera of the list, at once or in a flight. */
  visit(index, at_once = false) {
    const camera = this.scene.cameras[index];
    this.current = index;
    this.lens = camera;
    const pose = toModel(camera.c2w, this.scene.frame);
    if (at_once) this.orbit.set(pose, camera.distance);
    else this.orbit.fly(pose, camera.distance, performance.now());
    this.touch();
  }

  touch() {
    this.dirty = true;
    this.orbit.flight || (this.moved = performance.now());
  }

  /** The camera of the window: all that the present camera of the list sees fits in. */
  camera(width, height, pose = this.orbit.pose) {
    const { fx, fy, width: w, height: h } = this.lens;
    const focal = Math.min(width * fx / w, height * fy / h);
    return { pose, fx: focal, fy: focal, cx: width / 2, cy: height / 2, width, height };
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.dirty = true;
  }

  tick(now) {
    if (!this.ready) return;
    this.resize();
    if (this.orbit.advance(now)) this.touch();
    if (this.dirty) this.drawMoving(now);
    else if (this.rows >= 0 && performance.now() - this.moved > STILL_AFTER) this.drawStill();
  }

  drawMoving(now) {
    const { frame, moving } = QUALITIES[this.quality];
    const width = Math.max(16, Math.round(this.canvas.width * this.scale));
    const height = Math.max(16, Math.round(this.canvas.height * this.scale));
    const target = this.renderer.target("moving", width, height), start = performance.now();
    this.renderer.draw(target, this.camera(width, height), { stride: moving, swift: true });
    this.renderer.show(target, width, height);
    this.renderer.finish(target);
    const spent = performance.now() - start;
    // A little hysteresis: every new scale makes a new texture.
    const wanted = this.scale * Math.sqrt(frame / Math.max(spent, 1));
    if (wanted < 0.85 * this.scale || wanted > 1.2 * this.scale) {
      const next = Math.min(1, Math.max(LEAST_SCALE, wanted, 0.5 * this.scale), 1.5 * this.scale);
      this.scale = Math.round(next * 50) / 50;
    }
    this.dirty = false;
    this.moved = now;
    this.rows = 0;
  }

  /** Draw some rows of the full picture; show it when all are there. */
  drawStill() {
    const { frame, still, stride } = QUALITIES[this.quality];
    const width = Math.round(this.canvas.width * still), height = Math.round(this.canvas.height * still);
    const target = this.renderer.target("still", width, height), camera = this.camera(width, height);
    const start = performance.now();
    while (this.rows < height && performance.now() - start < frame) {
      const last = Math.min(height, this.rows + (this.band || 16));
      const before = performance.now();
      this.renderer.draw(target, camera, { stride, rows: [this.rows, last] });
      this.renderer.finish(target);
      const spent = performance.now() - before;
      this.band = Math.max(4, Math.min(512, Math.round((last - this.rows) * 0.5 * frame / Math.max(spent, 1))));
      this.rows = last;
    }
    if (this.rows < height) return;
    this.renderer.show(target, width, height);
    this.rows = -1;
  }

  /** Make what a place of the window shows the centre that views turn around. */
  recentre(x, y) {
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const camera = this.camera(this.canvas.width, this.canvas.height);
    const distance = this.renderer.distance(camera, x * ratio, y * ratio);
    if (!(distance > 0)) return;
    const across = (x * ratio - camera.cx) / camera.fx, down = (y * ratio - camera.cy) / camera.fy;
    const { pose } = this.orbit;
    const way = unit(add(add(scaled(pose.right, across), pose.up, -down), pose.back, -1));
    const point = add(pose.eye, way, distance);
    this.orbit.distance = Math.max(distance * dot(way, scaled(pose.back, -1)), 1e-3);
    this.orbit.centre(point, performance.now());
    this.touch();
  }
}

const pause = () => new Promise((done) => setTimeout(done));

/** What a program sees of the page: exact pictures, and how fast it draws. */
function publicFace(viewer, ready) {
  const posed = (camera) => ({
    cx: camera.width / 2, cy: camera.height / 2, fy: camera.fx, ...camera,
    pose: toModel(camera.c2w, viewer.scene.frame),
  });
  const pixels = async (camera, options) => {
    await ready;
    return viewer.renderer.pixels(posed(camera), options);
  };
  return {
    ready,
    scene: viewer.scene,
    /** RGBA bytes of a camera of the input frame: c2w (3 x 4), fx, fy, cx, cy, width, height, lens, distortion. */
    pixels,
    /** The same as the address of a PNG. */
    async render(camera, options) {
      const { width, height } = camera, sheet = document.createElement("canvas");
      [sheet.width, sheet.height] = [width, height];
      const data = new ImageData(await pixels(camera, options), width, height);
      sheet.getContext("2d").putImageData(data, 0, 0);
      return sheet.toDataURL("image/png");
    },
    /** Frames per second of a turn around the opening view, in full resolution, as they are drawn in motion. */
    async benchmark(seconds = 5, width = 400, height = 400) {
      await ready;
      const { renderer, scene } = viewer, orbit = new Orbit(scene.up), target = renderer.target("pixels", width, height);
      const opening = scene.cameras[scene.opening];
      orbit.set(toModel(opening.c2w, scene.frame), opening.distance);
      const { lens } = viewer;
      viewer.lens = opening;
      let frames = 0, start = performance.now(), spent = 0;
      for (; spent < 1000 * seconds; ++frames) {
        orbit.turn(0.05, 0);
        renderer.draw(target, viewer.camera(width, height, orbit.pose), { stride: QUALITIES.normal.moving, swift: true });
        renderer.finish(target);
        spent = performance.now() - start;
      }
      viewer.lens = lens;
      viewer.touch();
      return { frames, seconds: spent / 1000, fps: 1000 * frames / spent, width, height };
    },
    /** Where the page looks from now. */
    state() {
      const { pose, distance, target } = viewer.orbit;
      return { ...pose, distance, target, scale: viewer.scale, quality: viewer.quality, still: viewer.rows < 0, camera: viewer.current };
    },
  };
}

function say(text) {
  const message = document.getElementById("message");
  message.textContent = text;
  message.hidden = !text;
}

function fail(error) {
  say(`${error.message || error} What you see is a still picture.`);
  document.body.classList.add("still");
}

function main() {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  let viewer;
  try {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("This browser is too old to unpack the scene (it has no DecompressionStream).");
    }
    viewer = new Viewer(scene);
  } catch (error) {
    window.sightline = { ready: Promise.reject(error) };
    window.sightline.ready.catch(fail);
    return;
  }
  say("Unpacking the scene …");
  viewer.visit(scene.opening, true);
  const ready = pause().then(() => viewer.load()).then(() => {
    say("");
    document.body.classList.add("live");
    viewer.touch();
  });
  ready.catch(fail);
  window.sightline = publicFace(viewer, ready);
  listen(viewer);
  const loop = (now) => {
    try {
      viewer.tick(now);
    } catch (error) {
      viewer.ready = false;
      fail(error);
    }
    requestAnimationFrame(loop);
  };
  requestAnimationFrame(loop);
}
