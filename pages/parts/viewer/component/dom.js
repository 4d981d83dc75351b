// Small helpers to build elements. Text always goes in as text, never as markup.

/** Make an element: h("button", {class: "x", onclick: fn, "aria-label": "..."}, child, "text", null). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  set(element, attributes)
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false))
  return element
}

const SVG = "http://www.w3.org/2000/svg"

/** The same for SVG elements. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value
    else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") element[name] = value
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value)
  }
}

/** Tell whether the user is typing where an event comes from, so that single keys must be left alone. */
export function isTyping(event) {
  const target = event.composedPath()[0]
  if (!(target instanceof Element)) return false
  if (target.closest("textarea, select, [contenteditable=''], [contenteditable='true'], [role='textbox'], [role='combobox'], [role='listbox']")) return true
  const input = target.closest("input")
  return input !== null && !["checkbox", "radio", "range", "button", "submit"].includes(input.type)
}

const ICONS = {
  hand: "M8 13V5.5a1.5 1.5 0 0 1 3 0V11m0-6.5v-1a1.5 1.5 0 0 1 3 0V11m0-5.5a1.5 1.5 0 0 1 3 0V12m0-3.5a1.5 1.5 0 0 1 3 0V15a6 6 0 0 1-6 6h-2.2a6 6 0 0 1-5-2.7L5 14.5a1.6 1.6 0 0 1 2.6-1.8L8 13.2",
  rectangle: "M4 6h16v12H4z",
  polygon: "M5 9l7-5 7 6-3 9H7z",
  point: "M12 21s-6.5-6-6.5-11a6.5 6.5 0 0 1 13 0c0 5-6.5 11-6.5 11zM12 12.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z",
  line: "M3.5 16.5l13-13 4 4-13 13zM7 13l2 2m1-5l2 2m1-5l2 2",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  rotate: "M20 12a8 8 0 1 1-2.6-5.9M20 3v4.5h-4.5",
  rotateBack: "M4 12a8 8 0 1 0 2.6-5.9M4 3v4.5h4.5",
  split: "M4 5h16v14H4zM12 5v14",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7m2 3a4 4 0 0 0-6-.4l-3 3A4 4 0 0 0 10.700 18.300L12 17",
  layers: "M12 4l9 5-9 5-9-5zM3 14l9 5 9-5",
  full: "M4 10V4h6M20 14v6h-6M4 4l7 7M20 20l-7-7",
  help: "M9.2 9a3 3 0 1 1 4.300 2.700c-1 .5-1.500 1.100-1.500 2.300M12 17.500v.01",
  gallery: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  close: "M6 6l12 12M18 6L6 18",
  target: "M12 3v4m0 10v4M3 12h4m10 0h4M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8z",
}

/** An icon drawn here, so that none is fetched from anywhere. */
export function icon(name) {
  return s(
    "svg",
    { viewBox: "0 0 24 24", width: 20, height: 20, fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    s("path", { d: ICONS[name] }),
  )
}
