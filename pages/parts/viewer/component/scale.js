// Lengths, areas and scale bars. The frame is level-0 pixels; mpp is [x, y] in um per level-0 pixel, or null.

/** The longest 1-2-5 x 10^k length of at most `limit`. */
export function roundLength(limit) {
  const power = 10 ** Math.floor(Math.log10(limit))
  const digit = [5, 2, 1].find(step => step * power <= limit * (1 + 1e-9))
  return digit * power
}

/**
 * What a scale bar shows.
 * @param umPerScreenPx um per CSS pixel on the screen
 * @param maxPx longest bar in CSS pixels
 * @returns {{px: number, um: number, text: string}}
 */
export function scaleBar(umPerScreenPx, maxPx) {
  const um = roundLength(umPerScreenPx * maxPx)
  return { px: um / umPerScreenPx, um, text: um >= 1000 ? `${trim(um / 1000)} mm` : `${trim(um)} µm` }
}

/** Magnification of a microscope that shows this scale, by the convention 10 / (um per pixel). */
export function equivalentMagnification(umPerScreenPx) {
  const power = 10 / umPerScreenPx
  return power >= 9.95 ? power.toFixed(0) : power >= 0.995 ? power.toFixed(1) : power.toPrecision(2)
}

export function meanMpp(mpp) {
  return Math.sqrt(mpp[0] * mpp[1])
}

/** Length of a way through [x, y] points: um, or px if the scale is unknown. */
export function wayLength(points, mpp) {
  const [sx, sy] = mpp ?? [1, 1]
  let total = 0
  for (let i = 1; i < points.length; i++) {
    total += Math.hypot((points[i][0] - points[i - 1][0]) * sx, (points[i][1] - points[i - 1][1]) * sy)
  }
  return total
}

/** Area of a ring: um2, or px2 if the scale is unknown. */
export function ringArea(ring, mpp) {
  const [sx, sy] = mpp ?? [1, 1]
  let twice = 0
  for (let i = 0; i < ring.length; i++) {
    const [x0, y0] = ring[i]
    const [x1, y1] = ring[(i + 1) % ring.length]
    twice += x0 * y1 - x1 * y0
  }
  return (Math.abs(twice) / 2) * sx * sy
}

export function lengthText(length, mpp) {
  if (!mpp) return `${Math.round(length).toLocaleString("en")} px`
  return length >= 999.5 ? `${(length / 1000).toFixed(2)} mm` : `${length.toFixed(length < 100 ? 1 : 0)} µm`
}

export function areaText(area, mpp) {
  if (!mpp) return `${Math.round(area).toLocaleString("en")} px²`
  return area >= 10_000 ? `${(area / 1e6).toFixed(area < 1e5 ? 3 : 2)} mm²` : `${Math.round(area).toLocaleString("en")} µm²`
}

function trim(number) {
  return String(Number(number.toPrecision(3)))
}
