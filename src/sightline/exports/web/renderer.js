// WebGL2: programs, textures, and drawing a camera's picture into a texture or the canvas.

const WHOLE_SCREEN = `#version 300 es
void main() {
  vec2 p = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(p, 0.0, 1.0);
}`;

const COPY = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform vec2 part, size;    // of the texture that is shown; pixels of what it is shown on
out vec4 result;
void main() { result = texture(picture, gl_FragCoord.xy / size * part); }`;

const LEAST_IN_MOTION = 0.08;      // light at which rays end in pictures in motion
const LENSES = { PINHOLE: 0, OPENCV: 1, OPENCV_FISHEYE: 2 };

class Renderer {
  constructor(canvas, scene, source) {
    const options = { alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true };
    this.gl = canvas.getContext("webgl2", options);
    if (!this.gl) throw new Error("This browser cannot draw with WebGL2.");
    this.scene = scene;
    this.source = source;
    this.programs = {};
    this.targets = {};
  }

  /** Take the arrays that `decodeScene` gave onto the graphics card. */
  load(decoded) {
    const gl = this.gl, scene = this.scene;
    const { count, across, layers } = decoded;
    const terms = scene.terms;
    const largest = Math.max(count, 5 * across, 3 * across * Math.max(terms, 1), 5 * layers);
    if (largest > gl.getParameter(gl.MAX_3D_TEXTURE_SIZE)) {
      throw new Error("This graphics card cannot hold the scene: make the page again with a smaller --size-mb.");
    }
    this.atlasSize = [5 * across, 5 * across, 5 * layers];
    this.sheenSize = terms ? [3 * across * terms, 3 * across, 3 * layers] : [1, 1, 1];
    this.slots = this.volume([count, count, count], decoded.slots, gl.RGBA16UI, gl.RGBA_INTEGER, gl.NEAREST);
    this.atlas = this.volume(this.atlasSize, decoded.atlas, gl.RGBA8, gl.RGBA, gl.LINEAR);
    const sheen = decoded.sheen || new Uint8Array(4).fill(128);
    this.sheen = this.volume(this.sheenSize, sheen, gl.RGBA8, gl.RGBA, gl.LINEAR);
    if (gl.getError() !== gl.NO_ERROR) throw new Error("The graphics card has too little memory for the scene.");
    for (const [name, pick, swift] of [["draw", 0, 0], ["pick", 1, 0], ["swift", 0, 1]]) {
      const defines = { CONTRACTED: scene.contracted ? 1 : 0, TERMS: terms, PICK: pick, SWIFT: swift, BLOCKS: count };
      const lines = Object.entries(defines).map(([key, value]) => `#define ${key} ${value}\n`);
      this.programs[name] = this.program(`#version 300 es\n${lines.join("")}${this.source}`);
      this.fixed(this.programs[name]);
    }
    this.programs.copy = this.program(COPY);
  }

  volume(size, data, internal, format, filter) {
    const gl = this.gl, texture = gl.createTexture();
    const kind = data instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE;
    gl.bindTexture(gl.TEXTURE_3D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage3D(gl.TEXTURE_3D, 0, internal, ...size, 0, format, kind, data);
    for (const name of ["MIN_FILTER", "MAG_FILTER"]) gl.texParameteri(gl.TEXTURE_3D, gl[`TEXTURE_${name}`], filter);
    for (const name of ["S", "T", "R"]) gl.texParameteri(gl.TEXTURE_3D, gl[`TEXTURE_WRAP_${name}`], gl.CLAMP_TO_EDGE);
    return texture;
  }

  program(fragment) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, WHOLE_SCREEN], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(`The shader does not compile: ${gl.getShaderInfoLog(shader)}`);
      }
    }
    gl.linkProgram(program);
    const places = {};
    return { program, place: (name) => (places[name] ??= gl.getUniformLocation(program, name)) };
  }

  /** Uniforms that stay. */
  fixed({ program, place }) {
    const gl = this.gl, scene = this.scene;
    gl.useProgram(program);
    ["slots", "atlas", "sheen"].forEach((name, unit) => gl.uniform1i(place(name), unit));
    gl.uniform3fv(place("atlasScale"), this.atlasSize.map((v) => 1 / v));
    gl.uniform3fv(place("sheenScale"), this.sheenSize.map((v) => 1 / v));
    if (scene.terms) gl.uniform3fv(place("ranges"), scene.ranges.flat());
    gl.uniform3fv(place("behind"), scene.behind);
    for (const name of ["near", "far", "thinnest", "rise", "leastSheen"]) {
      gl.uniform1f(place(name), scene[name]);
    }
  }

  /** A texture to draw into, of at least a size. */
  target(name, width, height) {
    const gl = this.gl, old = this.targets[name];
    if (old && old.width === width && old.height === height) return old;
    if (old) {
      gl.deleteFramebuffer(old.frame);
      gl.deleteTexture(old.texture);
    }
    const texture = gl.createTexture(), frame = gl.createFramebuffer();
    gl.activeTexture(gl.TEXTURE3);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    for (const key of ["MIN_FILTER", "MAG_FILTER"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${key}`], gl.LINEAR);
    for (const key of ["S", "T"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_WRAP_${key}`], gl.CLAMP_TO_EDGE);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    return (this.targets[name] = { width, height, texture, frame });
  }

  /**
   * Draw a camera's picture into a target.
   *
   * camera: pose, fx, fy, cx, cy, width, height, and lens and distortion where it has some.
   * options: rows [first, last) from below; stride in cells; swift for motion; pick for distances; corner of a larger picture.
   */
  draw(target, camera, options = {}) {
    const gl = this.gl, { program, place } = this.programs[options.pick ? "pick" : options.swift ? "swift" : "draw"];
    gl.useProgram(program);
    [this.slots, this.atlas, this.sheen].forEach((texture, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_3D, texture);
    });
    const { pose } = camera;
    gl.uniform3fv(place("eye"), pose.eye);
    gl.uniformMatrix3fv(place("axes"), false, [...pose.right, ...pose.up, ...pose.back]);
    gl.uniform4f(place("lens"), camera.fx, camera.fy, camera.cx, camera.cy);
    gl.uniform1i(place("lensKind"), LENSES[camera.lens || "PINHOLE"]);
    gl.uniform1fv(place("bends"), camera.distortion || new Array(8).fill(0));
    gl.uniform1f(place("pictureHeight"), options.pick ? 1 : camera.height);
    gl.uniform2fv(place("corner"), options.corner || [0, 0]);
    gl.uniform1f(place("stride"), options.stride || this.scene.stride);
    gl.uniform1f(place("leastLight"), options.swift ? LEAST_IN_MOTION : this.scene.leastLight);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    const width = options.pick ? 1 : camera.width, height = options.pick ? 1 : camera.height;
    gl.viewport(0, 0, width, height);
    const [first, last] = options.rows || [0, height];
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(0, first, width, last - first);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.disable(gl.SCISSOR_TEST);
  }

  /** Show the lower left part of a target on the whole canvas. */
  show(target, width, height) {
    const gl = this.gl, { program, place } = this.programs.copy, { canvas } = gl;
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE3);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    gl.uniform1i(place("picture"), 3);
    gl.uniform2f(place("part"), width / target.width, height / target.height);
    gl.uniform2f(place("size"), canvas.width, canvas.height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** Wait until what was drawn is there. */
  finish(target) {
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /** A camera's picture: RGBA bytes, row by row from the top. */
  pixels(camera, options) {
    const gl = this.gl, { width, height } = camera;
    const target = this.target("pixels", width, height), bytes = new Uint8Array(4 * width * height);
    this.draw(target, camera, options);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    const upright = new Uint8ClampedArray(bytes.length), row = 4 * width;
    for (let y = 0; y < height; ++y) upright.set(bytes.subarray(y * row, (y + 1) * row), (height - 1 - y) * row);
    return upright;
  }

  /** Distance of what a pixel (x, y from the top) shows, along its ray, or 0. */
  distance(camera, x, y) {
    const gl = this.gl, target = this.target("pick", 1, 1), bytes = new Uint8Array(4);
    this.draw(target, camera, { pick: true, corner: [x - 0.5, y - 0.5] });
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    return new Float32Array(bytes.buffer)[0];
  }
}
