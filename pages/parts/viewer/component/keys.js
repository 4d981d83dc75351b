// Keys. Letters of the layers work wherever on the page no text is being typed; those that move the slide only while the
// viewer has the focus. J, K, A, D and U belong to buttons of the page, which listens for them itself.

import { h, isTyping } from "./dom.js"

export const HELP = [
  ["Case", [["J / K", "next / previous case"], ["A / D / U", "agree / disagree / unsure"], ["N", "write a note"], ["W", "next step of a second opinion"]]],
  ["Layers", [["H", "model probability on or off"], ["O", "next opacity"], ["Q", "artefacts on or off"]]],
  ["Slide", [["Arrow keys", "move"], ["+ / -", "zoom"], ["1", "one slide pixel per screen pixel"], ["0", "whole slide"], ["R / Shift R", "turn by 90°"], ["F", "full screen"], ["S", "side by side"]]],
  ["Marks", [["V B P T M", "move, rectangle, polygon, point, measure"], ["Space, Enter", "set a corner at the cross"], ["Enter", "finish"], ["Backspace", "take the last corner back"], ["Delete", "remove the chosen annotation"], ["Esc", "stop"]]],
]

const STEP_PX = 80

/** Handle one key press; true if it meant something. `viewer` offers the actions. */
export function press(viewer, event, isInside) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return false
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  const everywhere = { h: () => viewer.toggle("heat"), q: () => viewer.toggle("artefact"), o: () => viewer.nextOpacity(), n: () => viewer.focusNote(), "?": () => viewer.toggleHelp() }
  if (everywhere[key]) return done(everywhere[key])
  if (!isInside) return false
  if (viewer.draftKey(key)) return true
  const pane = viewer.active
  const onSlide = {
    ArrowLeft: () => pane.panBy(-STEP_PX, 0),
    ArrowRight: () => pane.panBy(STEP_PX, 0),
    ArrowUp: () => pane.panBy(0, -STEP_PX),
    ArrowDown: () => pane.panBy(0, STEP_PX),
    "+": () => pane.zoomBy(1.4),
    "=": () => pane.zoomBy(1.4),
    "-": () => pane.zoomBy(1 / 1.4),
    1: () => pane.setView({ zoom: 1 }),
    0: () => pane.fit(),
    r: () => pane.rotateBy(event.shiftKey ? -90 : 90),
    f: () => viewer.toggleFullScreen(),
    s: () => viewer.toggleSplit(),
    v: () => viewer.setTool("hand"),
    b: () => viewer.setTool("rectangle"),
    p: () => viewer.setTool("polygon"),
    t: () => viewer.setTool("point"),
    m: () => viewer.setTool("line"),
    Delete: () => viewer.removeSelected(),
    Escape: () => viewer.stop(),
  }
  return onSlide[key] && pane?.image ? done(onSlide[key]) : false
}

function done(action) {
  action()
  return true
}

/** The list of keys. */
export function helpBox(onClose) {
  return h(
    "div",
    { class: "help", role: "dialog", "aria-label": "Keys", tabindex: -1 },
    h("header", {}, h("strong", {}, "Keys"), h("button", { class: "plain", onclick: onClose }, "Close")),
    h("div", { class: "help-columns" }, HELP.map(([title, rows]) => h("section", {}, h("h4", {}, title), h("dl", {}, rows.flatMap(([keys, text]) => [h("dt", {}, keys), h("dd", {}, text)]))))),
  )
}
