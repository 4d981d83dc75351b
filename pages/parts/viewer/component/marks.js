// Marks on a slide: how they are drawn, measured, hit and made. Geometry is GeoJSON in level-0 pixels.

import { s } from "./dom.js"
import { areaText, lengthText, ringArea, wayLength } from "./scale.js"

export const TOOLS = {
  hand: { label: "Move", key: "V", hint: "" },
  rectangle: { label: "Rectangle", key: "B", hint: "Drag over the area. Without a mouse: Enter sets each corner at the cross." },
  polygon: { label: "Polygon", key: "P", hint: "Click each corner, double-click or Enter to finish, Backspace takes one back. Without a mouse: Space sets a corner at the cross." },
  point: { label: "Point", key: "T", hint: "Click the place. Without a mouse: Enter sets it at the cross." },
  line: { label: "Measure", key: "M", hint: "Drag from end to end. Without a mouse: Enter sets each end at the cross." },
}

const HIT_PX = 7
const POINT_RADIUS = 6

export function ringsOf(geometry) {
  if (geometry.type === "Polygon") return geometry.coordinates
  if (geometry.type === "MultiPolygon") return geometry.coordinates.flat()
  return []
}

export function boundsOf(geometry) {
  const points = geometry.coordinates.flat(Infinity)
  const xs = points.filter((_, i) => i % 2 === 0)
  const ys = points.filter((_, i) => i % 2 === 1)
  const [x, y] = [Math.min(...xs), Math.min(...ys)]
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y }
}

/** Length or area in words; empty for a point. */
export function measure(geometry, mpp) {
  if (geometry.type === "LineString") return lengthText(wayLength(geometry.coordinates, mpp), mpp)
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.type === "MultiPolygon" ? geometry.coordinates : []
  if (!polygons.length) return ""
  const area = polygons.reduce((sum, [outer, ...holes]) => sum + ringArea(outer, mpp) - holes.reduce((part, hole) => part + ringArea(hole, mpp), 0), 0)
  return areaText(area, mpp)
}

export function rectangleOf([x0, y0], [x1, y1]) {
  const [left, right, top, bottom] = [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)]
  return { type: "Polygon", coordinates: [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]] }
}

/** Draw marks into a pane's SVG. */
export function drawMarks(pane, marks, { selected, draft }) {
  const all = draft ? [...marks, draft] : marks
  pane.marks.replaceChildren(...all.map(mark => shape(pane, mark, mark.id === selected, mark === draft)))
}

function shape(pane, mark, isSelected, isDraft) {
  const { geometry } = mark
  const path = points => points.map(point => pane.toScreen(point)).map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`)
  const classes = ["mark", `mark-${geometry.type}`, isSelected && "is-selected", isDraft && "is-draft"].filter(Boolean).join(" ")
  const group = s("g", { class: classes })
  if (geometry.type === "Point") {
    const { x, y } = pane.toScreen(geometry.coordinates)
    group.append(s("circle", { cx: x, cy: y, r: POINT_RADIUS, class: "halo" }), s("circle", { cx: x, cy: y, r: POINT_RADIUS, class: "line" }))
  } else {
    const ways = geometry.type === "LineString" ? [geometry.coordinates] : ringsOf(geometry)
    const d = ways.map(way => `M${path(way).join("L")}${geometry.type === "LineString" ? "" : "Z"}`).join("")
    group.append(s("path", { d, class: "halo" }), s("path", { d, class: "line" }))
  }
  const text = [mark.label, measure(geometry, pane.info.mpp)].filter(Boolean).join(" · ")
  if (text) group.append(labelOf(pane, geometry, text))
  return group
}

function labelOf(pane, geometry, text) {
  const corners = geometry.type === "Point" ? [geometry.coordinates] : (geometry.type === "LineString" ? geometry.coordinates : ringsOf(geometry)[0] ?? [])
  const places = corners.map(point => pane.toScreen(point))
  const right = places.reduce((best, place) => (place.x > best.x ? place : best), places[0])
  return s("text", { x: right.x + 9, y: right.y + 4, class: "mark-text" }, text)
}

/** The mark under a level-0 position, the last drawn first. */
export function markAt(pane, marks, position) {
  const at = pane.toScreen(position)
  return marks.findLast(mark => hits(pane, mark.geometry, at)) ?? null
}

function hits(pane, geometry, at) {
  if (geometry.type === "Point") return distance(pane.toScreen(geometry.coordinates), at) <= POINT_RADIUS + HIT_PX
  const ways = geometry.type === "LineString" ? [geometry.coordinates] : ringsOf(geometry)
  return ways.some(way => {
    const points = way.map(point => pane.toScreen(point))
    return points.some((point, i) => i > 0 && toSegment(at, points[i - 1], point) <= HIT_PX)
  })
}

function distance(p, q) {
  return Math.hypot(p.x - q.x, p.y - q.y)
}

function toSegment(p, a, b) {
  const length = distance(a, b)
  if (length === 0) return distance(p, a)
  const along = Math.max(0, Math.min(1, ((p.x - a.x) * (b.x - a.x) + (p.y - a.y) * (b.y - a.y)) / length ** 2))
  return distance(p, { x: a.x + along * (b.x - a.x), y: a.y + along * (b.y - a.y) })
}

/** A mark being made with one of the tools. */
export class Draft {
  constructor(pane, tool) {
    this.pane = pane
    this.tool = tool
    this.points = []
    this.pointer = null
  }

  get geometry() {
    const points = this.pointer ? [...this.points, this.pointer] : this.points
    if (!points.length) return null
    if (this.tool === "point") return { type: "Point", coordinates: points.at(-1) }
    if (points.length === 1) return { type: "Point", coordinates: points[0] }
    if (this.tool === "line") return { type: "LineString", coordinates: points }
    if (this.tool === "rectangle") return rectangleOf(points[0], points.at(-1))
    return points.length === 2 ? { type: "LineString", coordinates: points } : { type: "Polygon", coordinates: [[...points, points[0]]] }
  }

  /** Whether what is set so far makes a whole mark of this tool. */
  get isWhole() {
    const needed = { point: 1, line: 2, rectangle: 2, polygon: 3 }[this.tool]
    return this.points.length >= needed
  }
}
