// Tile values as a grid: unpacked, looked up, and painted sharp at any zoom.

const NO_TILE = 65535
const STEPS = 65534
const MANY_CELLS = 9000 // above this a cell is a few screen pixels at most, and one scaled picture is as exact

/** Unpack what core/services/layers.py packs. */
export function unpack(buffer) {
  const view = new DataView(buffer)
  const length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)))
  const columns = header.edges_x.length - 1
  const rows = header.edges_y.length - 1
  const planes = []
  for (let at = 4 + length; at + 2 * columns * rows <= buffer.byteLength; at += 2 * columns * rows) {
    planes.push(new Uint16Array(buffer, at, columns * rows))
  }
  return { header, columns, rows, planes, edgesX: header.edges_x, edgesY: header.edges_y, steady: isSteady(header.edges_x) && isSteady(header.edges_y) }
}

function isSteady(edges) {
  const pitch = (edges.at(-1) - edges[0]) / (edges.length - 1)
  return edges.every((edge, i) => Math.abs(edge - edges[0] - i * pitch) <= 1)
}

/** Index of the cell that holds a level-0 position, or -1. */
export function cellAt(lattice, x, y) {
  const column = span(lattice.edgesX, x)
  const row = span(lattice.edgesY, y)
  return column < 0 || row < 0 ? -1 : row * lattice.columns + column
}

function span(edges, value) {
  if (!(value >= edges[0] && value < edges.at(-1))) return -1
  let low = 0
  let high = edges.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (edges[middle] <= value) low = middle
    else high = middle
  }
  return low
}

/** Probability at a level-0 position, or null where no tile lies. */
export function probabilityAt(lattice, plane, x, y) {
  const cell = cellAt(lattice, x, y)
  if (cell < 0 || lattice.planes[plane][cell] === NO_TILE) return null
  return lattice.planes[plane][cell] / STEPS
}

/** Whole-number code at a level-0 position, or null where no tile lies. */
export function codeAt(lattice, x, y) {
  const cell = cellAt(lattice, x, y)
  if (cell < 0 || lattice.planes[0][cell] === NO_TILE) return null
  return lattice.planes[0][cell]
}

/** A painter of probabilities: value of a cell -> [r, g, b], or null to leave it clear. */
export function probabilityPainter(colours, threshold) {
  const lowest = Math.round(threshold * STEPS)
  return value => (value === NO_TILE || value < lowest ? null : colours[Math.round((value / STEPS) * 255)])
}

/** A painter of categories. */
export function codePainter(colourOf) {
  return value => (value === NO_TILE ? null : colourOf(value))
}

/**
 * Paint the visible cells, opaque; the canvas itself carries the opacity, so that edges never add up.
 * @param frame {a, b, c, d, e, f} takes level-0 px to canvas px
 * @param picture a canvas with one pixel a cell, from `cellPicture`
 */
export function paint(context, lattice, plane, frame, painter, picture) {
  const { width, height } = context.canvas
  const [left, right, top, bottom] = visible(lattice, frame, width, height)
  if (right <= left || bottom <= top) return
  if ((right - left) * (bottom - top) > MANY_CELLS && lattice.steady) {
    paintPicture(context, lattice, frame, picture)
    return
  }
  const upright = Math.abs(frame.b) < 1e-9 && Math.abs(frame.c) < 1e-9 && frame.a > 0 && frame.d > 0
  if (!upright) context.setTransform(frame.a, frame.b, frame.c, frame.d, frame.e, frame.f)
  const bleed = upright ? 0 : 0.3 / Math.hypot(frame.a, frame.b)
  for (let row = top; row < bottom; row++) {
    const y0 = upright ? Math.round(frame.f + frame.d * lattice.edgesY[row]) : lattice.edgesY[row] - bleed
    const y1 = upright ? Math.round(frame.f + frame.d * lattice.edgesY[row + 1]) : lattice.edgesY[row + 1] + bleed
    for (let column = left; column < right; column++) {
      const colour = painter(lattice.planes[plane][row * lattice.columns + column])
      if (!colour) continue
      const x0 = upright ? Math.round(frame.e + frame.a * lattice.edgesX[column]) : lattice.edgesX[column] - bleed
      const x1 = upright ? Math.round(frame.e + frame.a * lattice.edgesX[column + 1]) : lattice.edgesX[column + 1] + bleed
      context.fillStyle = `rgb(${colour[0]},${colour[1]},${colour[2]})`
      context.fillRect(x0, y0, x1 - x0, y1 - y0)
    }
  }
  context.setTransform(1, 0, 0, 1, 0, 0)
}

function paintPicture(context, lattice, frame, picture) {
  context.imageSmoothingEnabled = false
  context.setTransform(frame.a, frame.b, frame.c, frame.d, frame.e, frame.f)
  const [x, y] = [lattice.edgesX[0], lattice.edgesY[0]]
  context.drawImage(picture, x, y, lattice.edgesX.at(-1) - x, lattice.edgesY.at(-1) - y)
  context.setTransform(1, 0, 0, 1, 0, 0)
}

/** One pixel a cell. */
export function cellPicture(lattice, plane, painter) {
  const canvas = document.createElement("canvas")
  canvas.width = lattice.columns
  canvas.height = lattice.rows
  const context = canvas.getContext("2d")
  const image = context.createImageData(lattice.columns, lattice.rows)
  lattice.planes[plane].forEach((value, i) => {
    const colour = painter(value)
    if (colour) image.data.set([...colour, 255], 4 * i)
  })
  context.putImageData(image, 0, 0)
  return canvas
}

function visible(lattice, frame, width, height) {
  const det = frame.a * frame.d - frame.b * frame.c
  const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([px, py]) => [
    (frame.d * (px - frame.e) - frame.c * (py - frame.f)) / det,
    (frame.a * (py - frame.f) - frame.b * (px - frame.e)) / det,
  ])
  const range = (edges, values) => {
    const low = Math.min(...values)
    const high = Math.max(...values)
    if (high <= edges[0] || low >= edges.at(-1)) return [0, 0]
    const first = low < edges[0] ? 0 : span(edges, low)
    const last = high >= edges.at(-1) ? edges.length - 1 : span(edges, high) + 1
    return [first, last]
  }
  const [left, right] = range(lattice.edgesX, corners.map(corner => corner[0]))
  const [top, bottom] = range(lattice.edgesY, corners.map(corner => corner[1]))
  return [left, right, top, bottom]
}
