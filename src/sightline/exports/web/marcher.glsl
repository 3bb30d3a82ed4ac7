// Follows a ray through sparse voxels: the same walk, sample for sample, as exports/web/marching.py.
//
// CONTRACTED (0, 1), TERMS (0, 3, 8), PICK (0, 1), SWIFT (0, 1: colours change with the direction as where most
// is seen, for pictures in motion) and BLOCKS (blocks along a side of the grid) are set before.

precision highp float;
precision highp int;
precision highp sampler3D;
precision highp usampler3D;

uniform usampler3D slots;   // place of a block in the atlas and 0, or empty cubes that begin there, two in each number
uniform sampler3D atlas;    // code, red, green, blue: 5 x 5 x 5 corners of each block
uniform sampler3D sheen;    // 3 x 3 x 3 of each block, for each term of the direction beside each other
uniform vec3 atlasScale;    // 1 / size of the atlas
uniform vec3 sheenScale;
uniform vec3 ranges[TERMS > 0 ? TERMS : 1];
uniform vec3 behind;
uniform float near, far, stride, thinnest, rise, leastLight, leastSheen;

uniform vec3 eye;           // all of the model frame
uniform mat3 axes;          // right, up, backward
uniform vec4 lens;          // fx, fy, cx, cy, in pixels, y down from the top
uniform int lensKind;       // 0 pinhole, 1 radial and tangential, 2 fisheye
uniform float bends[8];     // k1 k2 p1 p2 k3 k4 k5 k6
uniform float pictureHeight;
uniform vec2 corner;        // of the part of the picture that is drawn, pixels

out vec4 result;

const float FAR_AWAY = 1e6;

// Direction in camera axes of a point of the image plane, with the lens undone.
vec3 lensDirection(vec2 plane) {
  if (lensKind == 0) return vec3(plane.x, -plane.y, -1.0);
  if (lensKind == 2) {
    float radius = length(plane), theta = min(radius, 1.5);
    for (int n = 0; n < 12; ++n) {
      float u = theta * theta;
      float value = theta * (1.0 + u * (bends[0] + u * (bends[1] + u * (bends[2] + u * bends[3]))));
      float slope = 1.0 + u * (3.0 * bends[0] + u * (5.0 * bends[1] + u * (7.0 * bends[2] + u * 9.0 * bends[3])));
      theta -= (value - radius) / max(slope, 1e-3);
    }
    vec2 side = radius > 1e-9 ? plane * (sin(theta) / radius) : vec2(0.0);
    return vec3(side.x, -side.y, -cos(theta));
  }
  vec2 p = plane;
  for (int n = 0; n < 20; ++n) {
    float s = dot(p, p);
    float factor = (1.0 + s * (bends[0] + s * (bends[1] + s * bends[4])))
      / (1.0 + s * (bends[5] + s * (bends[6] + s * bends[7])));
    vec2 shift = vec2(2.0 * bends[2] * p.x * p.y + bends[3] * (s + 2.0 * p.x * p.x),
                      bends[2] * (s + 2.0 * p.y * p.y) + 2.0 * bends[3] * p.x * p.y);
    p = (plane - shift) / factor;
  }
  return vec3(p.x, -p.y, -1.0);
}

#if CONTRACTED
const float REACH = 2.0;

// Smallest of two or three crossings that lies ahead.
float ahead(vec3 top, vec3 under, float over, float best) {
  vec3 t = top / mix(under, vec3(1e-9), lessThan(abs(under), vec3(1e-9)));
  t = mix(t, vec3(FAR_AWAY), lessThanEqual(t, vec3(over)));
  return min(best, min(t.x, min(t.y, t.z)));
}

// Where the contraction's formula changes next: at faces of the box and between pyramids.
float nextCrossing(vec3 o, vec3 d, float t) {
  float over = t + 1e-5 * (1.0 + t);
  float best = ahead(1.0 - o, d, over, FAR_AWAY);
  best = ahead(-1.0 - o, d, over, best);
  best = ahead(o - o.yzx, d.yzx - d, over, best);
  return ahead(o + o.yzx, -d.yzx - d, over, best);
}
#else
const float REACH = 1.0;
#endif

#if TERMS
// What a colour changes by for a direction, at a place of the sheen's atlas.
vec3 change(vec3 at, float basis[8], int terms) {
  vec3 total = vec3(0.0);
  for (int n = 0; n < terms; ++n) {
    vec3 found = texture(sheen, (at + vec3(3 * n, 0, 0)) * sheenScale).xyz - 128.0 / 255.0;
    total += basis[n] * ranges[n] * found;
  }
  return (255.0 / 127.0) * total;
}
#endif

void main() {
  vec2 pixel = vec2(gl_FragCoord.x, pictureHeight - gl_FragCoord.y) + corner;
  vec3 d = normalize(axes * lensDirection((pixel - lens.zw) / lens.xy));
  vec3 o = eye;
  const float cell = 2.0 * REACH / float(4 * BLOCKS);

  float limit = CONTRACTED == 1 ? far : 1.0;
  vec3 safe = mix(d, vec3(1e-12), lessThan(abs(d), vec3(1e-12)));
  vec3 a = (-limit - o) / safe, b = (limit - o) / safe;
  vec3 lows = min(a, b), highs = max(a, b);
  float t = max(near, max(lows.x, max(lows.y, lows.z)));
  float end = min(highs.x, min(highs.y, highs.z));

  float light = 1.0, crossing = -1.0, depth = 0.0;
  vec3 colour = vec3(0.0);
#if TERMS
  float basis[8];
  basis[0] = d.x; basis[1] = d.y; basis[2] = d.z;
  basis[3] = d.x * d.y; basis[4] = d.y * d.z; basis[5] = d.x * d.z;
  basis[6] = d.x * d.x - d.y * d.y; basis[7] = 3.0 * d.z * d.z - 1.0;
#endif
#if SWIFT
  float most = 0.0;
  vec3 mostAt = vec3(0.5);
#endif

  for (int visit = 0; visit < 4 * BLOCKS + 64; ++visit) {
    if (t >= end || light < leastLight) break;
    vec3 p = o + t * d, way = d;
    float k = 0.0, r = 1.0;
#if CONTRACTED
    vec3 size = abs(p);
    float largest = max(size.x, max(size.y, size.z));
    if (largest > 1.0) {
      r = largest;
      float inverse = 1.0 / r;
      vec3 axis = size.x >= r ? vec3(1, 0, 0) : size.y >= r ? vec3(0, 1, 0) : vec3(0, 0, 1);
      vec3 outward = axis * sign(p);
      float rate = dot(outward, d);
      p *= inverse;
      way = mix((d - p * rate) * inverse, outward * (rate * inverse * inverse), axis);
      p = mix(p, outward * (2.0 - inverse), axis);
      k = rate * inverse;
    }
#endif
    vec3 g = (p + REACH) * (1.0 / cell);
    way *= 1.0 / cell;
    ivec3 block = clamp(ivec3(g * 0.25), ivec3(0), ivec3(BLOCKS - 1));
    uvec4 found = texelFetch(slots, block, 0);
    // Empty blocks: the largest empty cube that begins here and extends to where the ray goes.
    ivec3 back = ivec3(lessThan(way, vec3(0.0)));
    uint pair = back.z == 1 ? (back.y == 1 ? found.w : found.z) : (back.y == 1 ? found.y : found.x);
    float wide = found.w == 0u ? 1.0 : float(back.x == 1 ? pair >> 8 : pair & 255u);
    vec3 low = 4.0 * vec3(block);
    vec3 faces = mix(low + 4.0 * wide, low + 4.0 - 4.0 * wide, lessThan(way, vec3(0.0)));
    vec3 exits = mix((faces - g) / way, vec3(FAR_AWAY), lessThan(abs(way), vec3(1e-12)));
    float speed = max(abs(way.x), max(abs(way.y), abs(way.z)));
    float steps = max(min(exits.x, min(exits.y, exits.z)), 0.0) + 2e-3 / max(speed, 1e-9);
#if CONTRACTED
    if (crossing <= t) crossing = nextCrossing(o, d, t);
    float left = min(crossing, end) - t + 2e-6 * (1.0 + t);
    steps = min(steps, left / (1.0 + k * left));
#else
    steps = min(steps, end - t + 1e-6);
#endif
    float count = found.w == 0u ? clamp(ceil(steps * length(way) / stride), 1.0, 16.0) : 0.0;
    if (found.w == 0u) {
      float each = steps / count;
      float scale = each / (cell * r * r);
      vec3 first = g - low, place = vec3(0.0);
      vec3 base = 5.0 * vec3(found.xyz) + 0.5;
      float sum = 0.0;
      for (float n = 0.5; n < count; n += 1.0) {
        vec3 at = clamp(first + (n * each) * way, 0.0, 4.0);
        vec4 texel = texture(atlas, (base + at) * atlasScale);
        if (texel.x > 0.0) {
          float through = exp(-thinnest * (exp(rise * texel.x) - 1.0) * scale);
          float weight = light * (1.0 - through);
          light *= through;
          colour += weight * texel.yzw;
          place += weight * at;
          sum += weight;
        }
      }
      depth += sum * t;
#if TERMS && !PICK
#if SWIFT
      if (sum > most) {
        most = sum;
        mostAt = vec3(found.xyz) * vec3(TERMS, 1, 1) * 3.0 + place * (0.5 / sum) + 0.5;
      }
#else
      // No terms instead of a branch: software renderers run both sides of those.
      vec3 at = vec3(found.xyz) * vec3(TERMS, 1, 1) * 3.0 + place * (0.5 / max(sum, 1e-9)) + 0.5;
      colour += sum * change(at, basis, sum > leastSheen ? TERMS : 0);
#endif
#endif
    }
    float bend = 1.0 - k * steps;
    t += bend > 1e-6 ? steps / bend : FAR_AWAY;
  }

#if SWIFT
  // Rays in motion end early: what is left has the colour of what was met.
  if (light < leastLight) {
    colour /= 1.0 - light;
    light = 0.0;
  }
#endif
#if TERMS && SWIFT
  colour += (1.0 - light) * change(mostAt, basis, TERMS);
#endif
#if PICK
  // Mean distance, as the bytes of a float; 0 where there is next to nothing.
  uint bits = light < 0.7 ? floatBitsToUint(depth / (1.0 - light)) : 0u;
  result = vec4(bits & 255u, bits >> 8 & 255u, bits >> 16 & 255u, bits >> 24) / 255.0;
#else
  result = vec4(clamp(colour + light * behind, 0.0, 1.0), 1.0);
#endif
}
