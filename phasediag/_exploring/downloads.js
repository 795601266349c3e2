// Files made in the page: .npz (a zip of stored .npy entries), JSON, CSV.

function save(name, parts, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// the bytes of an .npy file; data: Float64Array, or a list of texts
function npy(data, dims) {
  let bytes, kind = "<f8";
  if (data instanceof Float64Array) {
    bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } else {
    const width = Math.max(1, ...data.map((text) => [...text].length)), letters = new Uint32Array(width * data.length);
    data.forEach((text, k) => [...text].forEach((letter, j) => { letters[k * width + j] = letter.codePointAt(0); }));
    bytes = new Uint8Array(letters.buffer);
    kind = `<U${width}`;
  }
  const tuple = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(", ")})`;
  let header = `{'descr': '${kind}', 'fortran_order': False, 'shape': ${tuple}, }`;
  header += " ".repeat(63 - ((10 + header.length) % 64)) + "\n";
  const start = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8];
  return joined([Uint8Array.from(start), new TextEncoder().encode(header), bytes]);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

const CRC = Uint32Array.from({ length: 256 }, (_, k) => {
  for (let bit = 0; bit < 8; bit++) k = k & 1 ? 0xedb88320 ^ (k >>> 1) : k >>> 1;
  return k >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function littleEndian(...pairs) {
  const bytes = [];
  for (const [value, size] of pairs) for (let k = 0; k < size; k++) bytes.push(Math.floor(value / 2 ** (8 * k)) & 255);
  return Uint8Array.from(bytes);
}

// arrays: [name, data, dims] each
function npz(arrays) {
  const parts = [], central = [];
  let at = 0;
  for (const [name, data, dims] of arrays) {
    const path = new TextEncoder().encode(`${name}.npy`), bytes = npy(data, dims);
    const facts = [[20, 2], [0, 2], [0, 2], [0, 2], [33, 2], [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [path.length, 2], [0, 2]];
    const local = joined([littleEndian([0x04034b50, 4], ...facts), path, bytes]);
    central.push(joined([littleEndian([0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), path]));
    parts.push(local);
    at += local.length;
  }
  const index = joined(central);
  const end = littleEndian([0x06054b50, 4], [0, 2], [0, 2], [arrays.length, 2], [arrays.length, 2], [index.length, 4], [at, 4], [0, 2]);
  return joined([...parts, index, end]);
}
