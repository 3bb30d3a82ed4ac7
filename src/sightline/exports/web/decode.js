// From the page's text to the voxels' textures. See exports/web/packing.py for what is in the streams and
// exports/web/voxels.py for the order of points, blocks and halves.

const ESCAPED = [0x00, 0x0a, 0x0d, 0x3c, 0x7e];
const ESCAPE = 0x7e, FIRST_LETTER = 0x41;
const CORNERS = 125, HALVES = 27;

/** The bytes that `to_text` made a text of. */
function bytesOfText(text, size) {
  const bytes = new Uint8Array(size + 7);
  let place = 0, held = 0, bits = 0;
  for (let k = 0; k < text.length && place < size; ++k) {
    let symbol = text.charCodeAt(k);
    if (symbol === ESCAPE) symbol = ESCAPED[text.charCodeAt(++k) - FIRST_LETTER];
    held |= symbol << bits;
    bits += 7;
    if (bits >= 8) {
      bytes[place++] = held & 255;
      held >>= 8;
      bits -= 8;
    }
  }
  if (place < size) throw new Error("The page is damaged: its data end too early.");
  return bytes.subarray(0, size);
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Streams of the payload, decompressed. */
async function readStreams(text, sizes) {
  const bytes = bytesOfText(text, sizes.reduce((a, b) => a + b, 0));
  const streams = [];
  for (let k = 0, start = 0; k < sizes.length; start += sizes[k++]) {
    streams.push(await inflate(bytes.subarray(start, start + sizes[k])));
  }
  return streams;
}

/** Undo differences between neighbours, then those of red and blue from green. */
function restoreColours(red, green, blue) {
  for (const column of [red, green, blue]) {
    for (let k = 1; k < column.length; ++k) column[k] += column[k - 1];
  }
  addTo(red, green);
  addTo(blue, green);
}

function addTo(column, other) {
  for (let k = 0; k < column.length; ++k) column[k] += other[k];
}

function bitCount(word) {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Which points there are: a row of 64 bits for each owner block that holds some. */
class Points {
  constructor(owners, masks, count) {
    this.side = count + 1;
    this.rows = new Int32Array(this.side ** 3).fill(-1);
    this.words = new Uint32Array(masks.buffer, masks.byteOffset, masks.byteLength / 4);
    this.held = [];
    this.firsts = new Int32Array(this.words.length / 2 + 1);
    for (let block = 0; block < this.rows.length; ++block) {
      if (!(owners[block >> 3] >> (block & 7) & 1)) continue;
      const row = this.held.length;
      this.rows[block] = row;
      this.firsts[row + 1] = this.firsts[row] + bitCount(this.words[2 * row]) + bitCount(this.words[2 * row + 1]);
      this.held.push(block);
    }
  }

  /** Number of the point at a place of a row, or -1. */
  at(row, place) {
    const high = place >> 5, word = this.words[2 * row + high], bit = place & 31;
    if (!(word >>> bit & 1)) return -1;
    const before = high ? bitCount(this.words[2 * row]) : 0;
    return this.firsts[row] + before + bitCount(word & ((1 << bit) - 1));
  }
}

/** Linear indices of the blocks that have points as corners, rising. */
function touchedBlocks(points, count) {
  const marked = new Uint8Array(count ** 3), side = points.side;
  points.held.forEach((owner, row) => {
    const x = owner % side, y = Math.floor(owner / side) % side, z = Math.floor(owner / side ** 2);
    for (let place = 0; place < 64; ++place) {
      if (!(points.words[2 * row + (place >> 5)] >>> (place & 31) & 1)) continue;
      const lowX = place & 3 ? x : x - 1, lowY = place >> 2 & 3 ? y : y - 1, lowZ = place >> 4 ? z : z - 1;
      for (let c = Math.max(lowZ, 0); c <= Math.min(z, count - 1); ++c) {
        for (let b = Math.max(lowY, 0); b <= Math.min(y, count - 1); ++b) {
          for (let a = Math.max(lowX, 0); a <= Math.min(x, count - 1); ++a) marked[(c * count + b) * count + a] = 1;
        }
      }
    }
  });
  const touched = [];
  for (let block = 0; block < marked.length; ++block) if (marked[block]) touched.push(block);
  return Int32Array.from(touched);
}

/** Places of corners within a block: which neighbour owns them, and where in it. */
function cornerTable(side) {
  const table = [];
  for (let c = 0; c < 5; ++c) for (let b = 0; b < 5; ++b) for (let a = 0; a < 5; ++a) {
    const owner = ((c >> 2) * side + (b >> 2)) * side + (a >> 2);
    table.push([owner, ((c & 3) * 4 + (b & 3)) * 4 + (a & 3)]);
  }
  return table;
}

/** Numbers of the points at all blocks' corners, -1 for none: 125 for each block. */
function findCorners(points, touched, count) {
  const side = points.side, table = cornerTable(side);
  const corners = new Int32Array(touched.length * CORNERS).fill(-1);
  touched.forEach((block, slot) => {
    const x = block % count, y = Math.floor(block / count) % count, z = Math.floor(block / count ** 2);
    const home = (z * side + y) * side + x;
    for (let k = 0; k < CORNERS; ++k) {
      const row = points.rows[home + table[k][0]];
      if (row >= 0) corners[slot * CORNERS + k] = points.at(row, table[k][1]);
    }
  });
  return corners;
}

/** For each block a bit for each of its 27 halves that a point lies within two cells of. */
function neededHalves(corners, slots) {
  const windows = [];
  for (let k = 0; k < HALVES; ++k) {
    const within = [];
    const near = (half, corner) => Math.abs(2 * half - corner) <= 2;
    for (let n = 0; n < CORNERS; ++n) {
      if (near(k % 3, n % 5) && near(Math.floor(k / 3) % 3, Math.floor(n / 5) % 5) &&
          near(Math.floor(k / 9), Math.floor(n / 25))) within.push(n);
    }
    windows.push(within);
  }
  const needed = new Int32Array(slots);
  for (let slot = 0; slot < slots; ++slot) {
    for (let k = 0; k < HALVES; ++k) {
      if (windows[k].some((n) => corners[slot * CORNERS + n] >= 0)) needed[slot] |= 1 << k;
    }
  }
  return needed;
}

/** Numbers halves by their linear index; `number(place)` then gives a half's number. */
class Halves {
  constructor(needed, touched, count) {
    this.count = count;
    this.side = 2 * count + 1;
    this.bits = new Uint32Array((this.side ** 3 >> 5) + 1);
    touched.forEach((block, slot) => {
      for (let k = 0; k < HALVES; ++k) {
        if (!(needed[slot] >> k & 1)) continue;
        const place = this.place(block, k);
        this.bits[place >> 5] |= 1 << (place & 31);
      }
    });
    this.firsts = new Int32Array(this.bits.length + 1);
    for (let k = 0; k < this.bits.length; ++k) this.firsts[k + 1] = this.firsts[k] + bitCount(this.bits[k]);
  }

  place(block, k) {
    const n = this.count;
    const x = block % n, y = Math.floor(block / n) % n, z = Math.floor(block / n ** 2);
    const row = (2 * z + Math.floor(k / 9)) * this.side + 2 * y + Math.floor(k / 3) % 3;
    return row * this.side + 2 * x + k % 3;
  }

  number(place) {
    return this.firsts[place >> 5] + bitCount(this.bits[place >> 5] & ((1 << (place & 31)) - 1));
  }
}

/**
 * For every empty block, for each of the eight octants of directions, the side of the largest empty cube that
 * has the block at its corner and extends that way (1 to 255); 0 for blocks that are there.
 */
function emptyCubes(touched, count) {
  // A frame of blocks beyond the grid, where nothing is, saves asking whether a neighbour exists.
  const side = count + 2, cubes = [];
  for (let octant = 0; octant < 8; ++octant) {
    const cube = new Uint8Array(side ** 3).fill(255);
    const step = [octant & 1 ? -1 : 1, octant & 2 ? -side : side, octant & 4 ? -side * side : side * side];
    const there = new Uint8Array(count ** 3);
    for (const block of touched) there[block] = 1;
    const [sx, sy, sz] = step;
    for (let c = 0; c < count; ++c) {
      const z = octant & 4 ? c : count - 1 - c;
      for (let b = 0; b < count; ++b) {
        const y = octant & 2 ? b : count - 1 - b;
        for (let a = 0; a < count; ++a) {
          const x = octant & 1 ? a : count - 1 - a;
          const here = ((z + 1) * side + y + 1) * side + x + 1;
          if (there[(z * count + y) * count + x]) { cube[here] = 0; continue; }
          const near = Math.min(cube[here + sx], cube[here + sy], cube[here + sz], cube[here + sx + sy],
            cube[here + sx + sz], cube[here + sy + sz], cube[here + sx + sy + sz]);
          cube[here] = Math.min(255, near + 1);
        }
      }
    }
    cubes.push(cube);
  }
  return cubes;
}

/** Everything the shader needs: arrays for three textures, and their sizes. */
async function decodeScene(scene, text, pause) {
  const streams = await readStreams(text, scene.streams);
  await pause();
  const [owners, masks, code, red, green, blue] = streams;
  const count = scene.cells / 4;
  for (let k = 1; k < code.length; ++k) code[k] += code[k - 1];
  restoreColours(red, green, blue);
  const points = new Points(owners, masks, count);
  const touched = touchedBlocks(points, count);
  await pause();
  const corners = findCorners(points, touched, count);
  await pause();
  const across = Math.max(1, Math.ceil(Math.cbrt(touched.length)));
  const layers = Math.max(1, Math.ceil(touched.length / across ** 2));
  const atlas = fillAtlas(corners, [code, red, green, blue], touched.length, across, layers);
  await pause();
  const sheen = scene.terms ? fillSheen(scene.terms, streams.slice(6), corners, touched, count, across, layers) : null;
  await pause();
  return { count, across, layers, atlas, sheen, slots: fillSlots(touched, count, across) };
}

/** Four numbers for each block: its place in the atlas and 0, or two octants' empty cubes in each number. */
function fillSlots(touched, count, across) {
  const cubes = emptyCubes(touched, count), slots = new Uint16Array(4 * count ** 3), side = count + 2;
  for (let block = 0; block < count ** 3; ++block) {
    const x = block % count, y = Math.floor(block / count) % count, z = Math.floor(block / count ** 2);
    const here = ((z + 1) * side + y + 1) * side + x + 1;
    for (let k = 0; k < 4; ++k) slots[4 * block + k] = cubes[2 * k][here] | cubes[2 * k + 1][here] << 8;
  }
  touched.forEach((block, slot) => {
    slots[4 * block] = slot % across;
    slots[4 * block + 1] = Math.floor(slot / across) % across;
    slots[4 * block + 2] = Math.floor(slot / across ** 2);
    slots[4 * block + 3] = 0;
  });
  return slots;
}

function fillAtlas(corners, columns, slots, across, layers) {
  const wide = 5 * across, atlas = new Uint8Array(4 * wide * wide * 5 * layers);
  const [code, red, green, blue] = columns;
  for (let slot = 0; slot < slots; ++slot) {
    const start = 5 * ((Math.floor(slot / across ** 2) * wide + Math.floor(slot / across) % across) * wide + slot % across);
    let there = 0, r = 0, g = 0, b = 0;
    for (let k = 0; k < CORNERS; ++k) {
      const point = corners[slot * CORNERS + k];
      if (point < 0) continue;
      ++there; r += red[point]; g += green[point]; b += blue[point];
    }
    // Corners that hold nothing have the block's mean colour.
    r = Math.round(r / there); g = Math.round(g / there); b = Math.round(b / there);
    for (let k = 0; k < CORNERS; ++k) {
      const point = corners[slot * CORNERS + k];
      const to = 4 * (start + (Math.floor(k / 25) * wide + Math.floor(k / 5) % 5) * wide + k % 5);
      const some = point >= 0;
      atlas[to] = some ? code[point] : 0;
      atlas[to + 1] = some ? red[point] : r;
      atlas[to + 2] = some ? green[point] : g;
      atlas[to + 3] = some ? blue[point] : b;
    }
  }
  return atlas;
}

function fillSheen(terms, columns, corners, touched, count, across, layers) {
  const needed = neededHalves(corners, touched.length);
  const halves = new Halves(needed, touched, count);
  for (let n = 0; n < terms; ++n) {
    addTo(columns[3 * n], columns[3 * n + 1]);
    addTo(columns[3 * n + 2], columns[3 * n + 1]);
  }
  const high = 3 * across, wide = high * terms;
  const sheen = new Uint8Array(4 * wide * high * 3 * layers).fill(128);
  touched.forEach((block, slot) => {
    const x = 3 * terms * (slot % across), y = 3 * (Math.floor(slot / across) % across);
    const z = 3 * Math.floor(slot / across ** 2);
    for (let k = 0; k < HALVES; ++k) {
      if (!(needed[slot] >> k & 1)) continue;
      const half = halves.number(halves.place(block, k));
      const row = ((z + Math.floor(k / 9)) * high + y + Math.floor(k / 3) % 3) * wide + x + k % 3;
      for (let n = 0; n < terms; ++n) {
        for (let channel = 0; channel < 3; ++channel) {
          sheen[4 * (row + 3 * n) + channel] = columns[3 * n + channel][half];
        }
      }
    }
  });
  return sheen;
}
