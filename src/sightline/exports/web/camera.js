// Cameras of the page: a pose, a pinhole or a lens, and how hands move it. All in the model frame, except
// for what `toModel` takes. Poses are { eye, right, up, back }, each three numbers.

const add = (a, b, s = 1) => a.map((v, k) => v + s * b[k]);
const scaled = (a, s) => a.map((v) => v * s);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const length = (a) => Math.sqrt(dot(a, a));
const unit = (a) => scaled(a, 1 / Math.max(length(a), 1e-12));

/** Turn a vector about a unit axis. */
function turned(v, axis, angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return add(add(scaled(v, c), cross(axis, v), s), axis, dot(axis, v) * (1 - c));
}

/** Pose of a 3 x 4 camera-to-world matrix of the input frame. */
function toModel(c2w, frame) {
  const column = (k) => c2w.map((row) => row[k]);
  const turn = (v) => frame.rotation.map((row) => dot(row, v));
  const eye = add(scaled(turn(column(3)), frame.scale), frame.translation);
  return { eye, right: turn(column(0)), up: turn(column(1)), back: turn(column(2)) };
}

/** A pose that people move: around a target, with the world's up kept up. */
class Orbit {
  constructor(up) {
    this.worldUp = unit(up);
    this.pose = { eye: [0, 0, 3], right: [1, 0, 0], up: [0, 1, 0], back: [0, 0, 1] };
    this.distance = 3;
    this.zoom = 1;         // of the field of view, by flights to cameras of other lenses
    this.flight = null;
  }

  get target() {
    return add(this.pose.eye, this.pose.back, -this.distance);
  }

  set(pose, distance) {
    this.pose = pose;
    this.distance = Math.max(distance, 1e-3);
    this.flight = null;
  }

  /** Turn around the target: to the side about the world's up, and over its top no further than it. */
  turn(sideways, upwards) {
    const target = this.target, height = dot(this.pose.back, this.worldUp);
    const angle = Math.asin(Math.min(1, Math.max(-1, height)));
    const most = 1.55;
    const tilt = Math.min(most, Math.max(-most, angle + upwards)) - angle;
    let vectors = [this.pose.right, this.pose.up, this.pose.back];
    vectors = vectors.map((v) => turned(v, this.pose.right, -tilt));
    vectors = vectors.map((v) => unit(turned(v, this.worldUp, sideways)));
    const [right, up, back] = vectors;
    this.set({ right, up, back, eye: add(target, back, this.distance) }, this.distance);
  }

  /** Move in the picture's plane, by parts of its height at the target's distance. */
  pan(sideways, upwards) {
    const by = add(scaled(this.pose.right, sideways), this.pose.up, upwards);
    this.set({ ...this.pose, eye: add(this.pose.eye, by, this.distance) }, this.distance);
  }

  /** Come nearer to the target (factor below 1) or go away from it. */
  approach(factor) {
    const target = this.target, distance = this.distance * factor;
    this.set({ ...this.pose, eye: add(target, this.pose.back, distance) }, distance);
  }

  /** Look at another point, from the same direction. */
  centre(point, now) {
    const eye = add(point, this.pose.back, this.distance);
    this.fly({ ...this.pose, eye }, this.distance, now);
  }

  fly(pose, distance, now, seconds = 0.8) {
    this.flight = { from: this.pose, nearby: this.distance, to: pose, distance, start: now, seconds };
  }

  /** Go on with a flight; whether there was one. */
  advance(now) {
    const flight = this.flight;
    if (!flight) return false;
    const part = Math.min(1, (now - flight.start) / (1000 * flight.seconds));
    const s = part * part * (3 - 2 * part);
    const between = (a, b) => add(scaled(a, 1 - s), b, s);
    if (part >= 1) {
      this.set(flight.to, flight.distance);
      return true;
    }
    const back = unit(between(flight.from.back, flight.to.back));
    let up = between(flight.from.up, flight.to.up);
    up = unit(add(up, back, -dot(up, back)));
    // Not through what is between: around the targets.
    const start = add(flight.from.eye, flight.from.back, -flight.nearby);
    const goal = add(flight.to.eye, flight.to.back, -flight.distance);
    this.distance = flight.nearby * (1 - s) + flight.distance * s;
    this.pose = { back, up, right: cross(up, back), eye: add(between(start, goal), back, this.distance) };
    if (part === 0) this.pose = flight.from;
    return true;
  }
}
