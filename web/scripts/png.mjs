// Encodes a screenshot with a palette of 256 colours, about half as large.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const PALETTE_SIZE = 256;
/** Square of the distance at which two colours count as different. */
const CLOSE = 60;
const RGB = 2;
const CHANNELS = { 2: 3, 6: 4 };

/** Returns the picture with its most frequent colours; other colours become the nearest of these. */
export function withPalette(png) {
  const { width, height, channels, pixels } = decode(png);
  const counts = new Map();
  for (let at = 0; at < pixels.length; at += channels) {
    const colour = (pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = paletteOf([...counts.keys()].toSorted((a, b) => counts.get(b) - counts.get(a)));
  const indexes = new Map(palette.map((colour, index) => [colour, index]));
  for (const colour of counts.keys()) {
    if (!indexes.has(colour)) indexes.set(colour, nearest(palette, colour));
  }
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0, from = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, from += channels) {
      const colour = (pixels[from] << 16) | (pixels[from + 1] << 8) | pixels[from + 2];
      rows[y * (width + 1) + 1 + x] = indexes.get(colour);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((c) => [c >> 16, (c >> 8) & 255, c & 255]));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Chooses frequent colours that are not close to each other, which leaves room for rare ones. */
function paletteOf(colours) {
  const palette = [];
  for (const colour of colours) {
    const close = palette.some((one) => distance(one, colour) < CLOSE);
    if (!close) palette.push(colour);
    if (palette.length === PALETTE_SIZE) break;
  }
  return palette;
}

function nearest(palette, colour) {
  let best = 0;
  palette.forEach((one, index) => {
    if (distance(one, colour) < distance(palette[best], colour)) best = index;
  });
  return best;
}

function distance(one, other) {
  const red = (one >> 16) - (other >> 16);
  const green = ((one >> 8) & 255) - ((other >> 8) & 255);
  const blue = (one & 255) - (other & 255);
  return red * red + green * green + blue * blue;
}

/** Decodes a PNG of Chromium: 8 bits per channel, not interlaced. */
function decode(png) {
  let at = SIGNATURE.length;
  let header;
  const data = [];
  while (at < png.length) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') data.push(body);
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = CHANNELS[header[9]] ?? CHANNELS[RGB];
  const filtered = inflateSync(Buffer.concat(data));
  return { width, height, channels, pixels: unfilter(filtered, width * channels, channels) };
}

function unfilter(filtered, stride, channels) {
  const height = filtered.length / (stride + 1);
  const pixels = Buffer.alloc(height * stride);
  for (let y = 0; y < height; y += 1) {
    const filter = filtered[y * (stride + 1)];
    for (let x = 0; x < stride; x += 1) {
      const to = y * stride + x;
      const left = x >= channels ? pixels[to - channels] : 0;
      const up = y > 0 ? pixels[to - stride] : 0;
      const corner = x >= channels && y > 0 ? pixels[to - stride - channels] : 0;
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      pixels[to] = filtered[y * (stride + 1) + 1 + x] + predicted;
    }
  }
  return pixels;
}

function paeth(left, up, corner) {
  const estimate = left + up - corner;
  const [a, b, c] = [left, up, corner].map((one) => Math.abs(estimate - one));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function chunk(type, body) {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const whole = Buffer.alloc(named.length + 8);
  whole.writeUInt32BE(body.length, 0);
  named.copy(whole, 4);
  whole.writeUInt32BE(crc32(named), named.length + 4);
  return whole;
}
